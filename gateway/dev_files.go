package gateway

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weir/admin"
	"weir/admin/clientfiles"
)

// site is the data folder of `weir dev`: mode 0700, every file 0600, a
// .gitignore that covers all. What clients read stands in it directly; data/ is
// ours and goes with --fresh; tls/ stays, so that clients keep trusting the CA.
type site struct {
	dir  string // as it was given, for people
	abs  string
	lock *os.File
}

func (s *site) path(name ...string) string { return filepath.Join(append([]string{s.abs}, name...)...) }
func (s *site) kafkaDir() string           { return s.path("data", "kafka") }
func (s *site) redisFile() string          { return s.path("data", "redis.json") }
func (s *site) usageDir() string           { return s.path("data", "usage") }
func (s *site) infoFile() string           { return s.path("dev.json") }
func (s *site) tokenFile() string          { return s.path("admin.token") }
func (s *site) certs() devCerts            { return devCerts{dir: s.path("tls")} }

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked by another process")

// openSite makes the folder and takes its lock, so that no two processes write
// the same data.
func openSite(dir string, fresh bool) (*site, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, abs: abs}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, userError("data-dir-unusable", err, []string{"weir dev --data-dir DIR      a folder that you may write to"}, "%v", err)
	}
	if s.lock, err = lockFile(s.path("dev.lock")); err != nil {
		if errors.Is(err, errLocked) {
			return nil, s.alreadyRunning()
		}
		return nil, err
	}
	if err := s.prepare(fresh); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *site) prepare(fresh bool) error {
	if fresh {
		if err := os.RemoveAll(s.path("data")); err != nil {
			return err
		}
	}
	for _, d := range []string{"data", "tls"} {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return err
		}
	}
	// An older umask, or an unpacked archive, may have left it open.
	if err := os.Chmod(s.abs, 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return err
	}
	if err := removeIfThere(s.infoFile()); err != nil { // of a run that was killed
		return err
	}
	return writeFile(s.path(".gitignore"), []byte("*\n"))
}

// nearby is whether the command line finds this folder by itself.
func (s *site) nearby() bool {
	here, err := filepath.Abs(defaultDataDir)
	return err == nil && s.abs == here
}

// close says that nobody runs here any more and lets go of the lock.
func (s *site) close() error {
	return errors.Join(removeIfThere(s.infoFile()), s.lock.Close())
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *site) alreadyRunning() error {
	var info devInfo
	data, err := os.ReadFile(s.infoFile())
	if err != nil || json.Unmarshal(data, &info) != nil {
		return userError("dev-already-running", nil, []string{"weir dev --data-dir " + s.dir + "2 --listen 127.0.0.1:0 --admin 127.0.0.1:0      a second one beside it"},
			"weir dev already starts in %s", s.dir)
	}
	return userError("dev-already-running", nil,
		[]string{
			"weir instance list                       it is there to be used",
			fmt.Sprintf("kill %d; weir dev                     to start it anew", info.PID),
		},
		"weir dev already runs here (pid %d, %s, up %s)", info.PID, info.Bootstrap, roughly(time.Since(info.StartedAt)))
}

// roughly is a duration in its largest unit: 45s, 12m, 3h, 2d.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// secrets live as long as the data: made on the first start, 0600, never printed.
type secrets struct {
	Password string `json:"password"`  // of the user demo
	TokenKey []byte `json:"token_key"` // signs admin.token
	Pepper   []byte `json:"pepper"`    // auth.Config.Pepper
}

func (s *site) secrets() (secrets, error) {
	file := s.path("data", "secrets.json")
	var out secrets
	data, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &out); err != nil || out.Password == "" || len(out.TokenKey) < minTokenKeyBytes {
			return secrets{}, fmt.Errorf("%s is damaged; start over with --fresh", file)
		}
		return out, nil
	case !errors.Is(err, fs.ErrNotExist):
		return secrets{}, err
	}
	out = secrets{Password: rand.Text(), TokenKey: make([]byte, minTokenKeyBytes), Pepper: make([]byte, minTokenKeyBytes)}
	rand.Read(out.TokenKey) // never fails (crypto/rand)
	rand.Read(out.Pepper)
	if data, err = json.Marshal(out); err != nil { //nolint:gosec // it goes to a 0600 file, which is its place
		return secrets{}, err
	}
	return out, writeFile(file, data)
}

// tokenLife is that of admin.token, which every start renews.
const tokenLife = 30 * 24 * time.Hour

// writeToken signs an operator's token that creates instances in devTenant.
func (s *site) writeToken(key []byte, now time.Time) error {
	token, err := admin.NewToken(key, admin.Claims{
		Subject: "weir-dev", Tenant: devTenant, Roles: []string{"operator"}, Issued: now, Expires: now.Add(tokenLife),
	})
	if err != nil {
		return err
	}
	return writeFile(s.tokenFile(), []byte(token+"\n"))
}

// devInfo is dev.json: where everything is, for SDKs and scripts. It exists
// while `weir dev` is ready.
type devInfo struct {
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	Bootstrap string    `json:"bootstrap"` // host:port
	Brokers   []string  `json:"brokers"`   // host:port, in order of node id
	Admin     string    `json:"admin"`     // http://host:port
	Instance  string    `json:"instance"`
	Username  string    `json:"username"`
	Kafka     string    `json:"kafka"` // "embedded", or the pool's bootstrap servers
	Redis     string    `json:"redis"` // "embedded" or "external"
	DataDir   string    `json:"data_dir"`
	Files     devPaths  `json:"files"`
}

// devPaths are absolute.
type devPaths struct {
	CA         string `json:"ca"`
	Properties string `json:"client_properties"`
	Kcat       string `json:"kcat_conf"`
	Env        string `json:"client_env"`
	Token      string `json:"admin_token"`
}

func (s *site) paths() devPaths {
	return devPaths{
		CA: s.path(clientfiles.CAFile), Properties: s.path(clientfiles.PropertiesFile),
		Kcat: s.path(clientfiles.KcatFile), Env: s.path(clientfiles.EnvFile), Token: s.tokenFile(),
	}
}

func (i *devInfo) json() ([]byte, error) {
	data, err := json.MarshalIndent(i, "", "  ")
	return append(data, '\n'), err
}
