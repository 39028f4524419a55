package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis answers in well under a millisecond on a healthy network. These bound
// how long a sick one holds a caller up; a command that blocks on purpose
// (XREAD BLOCK) gets its own time on top of the read's.
const (
	redisDialTimeout = 500 * time.Millisecond
	redisIOTimeout   = time.Second

	redisPort = "6379"
)

// options turns the file's words into go-redis's, without reading any file.
func (r *RedisConfig) options() (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{Addrs: r.Addrs, MasterName: r.Master, Username: r.Username}
	switch {
	case r.URL == "" && len(r.Addrs) == 0:
		return nil, errors.New("url (or addrs) is needed, as in url: redis://127.0.0.1:6379")
	case r.URL != "" && (len(r.Addrs) > 0 || r.Master != ""):
		return nil, errors.New("say either url, or addrs and master")
	case r.URL != "":
		if err := parseRedisURL(r.URL, o); err != nil {
			return nil, err
		}
		if o.Password != "" {
			return nil, errors.New("url must not hold the password; use password_file")
		}
	case r.Master == "" && len(r.Addrs) == 1:
		o.IsClusterMode = true // addrs without master are a cluster's; url is for a single Redis
	}
	for _, a := range o.Addrs {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%q is not host:port", a)
		}
	}
	return o, nil
}

// parseRedisURL fills o from redis[s]://[user[:password]@]host[:port][/db],
// redis[s]-sentinel://host:port,.../master[/db] or redis[s]-cluster://host:port,....
// Errors never repeat the URL: it may hold a password.
func parseRedisURL(text string, o *redis.UniversalOptions) error {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return errors.New("url has no scheme; as in redis://127.0.0.1:6379")
	}
	kind := strings.TrimPrefix(strings.TrimPrefix(scheme, "rediss"), "redis")
	if strings.HasPrefix(scheme, "rediss") {
		o.TLSConfig = clientTLSDefaults()
	}
	// Many hosts are no URL to net/url: parse around them.
	authority, path, _ := strings.Cut(rest, "/")
	user, hosts, hasUser := cutLast(authority, "@")
	if !hasUser {
		user, hosts = "", authority
	}
	if hasUser {
		name, password, _ := strings.Cut(user, ":")
		var errName, errPassword error
		if name, errName = url.PathUnescape(name); errName == nil {
			o.Username = cmp.Or(name, o.Username)
		}
		if o.Password, errPassword = url.PathUnescape(password); errName != nil || errPassword != nil {
			return errors.New("url: the user part is not percent-encoded rightly")
		}
	}
	o.Addrs = strings.Split(hosts, ",")
	switch kind {
	case "":
		if len(o.Addrs) > 1 {
			return errors.New("url names several hosts; use redis-cluster:// or redis-sentinel://")
		}
		if _, _, err := net.SplitHostPort(hosts); err != nil {
			o.Addrs[0] = net.JoinHostPort(strings.Trim(hosts, "[]"), redisPort)
		}
	case "-cluster":
		o.IsClusterMode = true
	case "-sentinel":
		if o.MasterName, path, _ = strings.Cut(path, "/"); o.MasterName == "" {
			return errors.New("url: the master's name is missing, as in redis-sentinel://host:26379/mymaster")
		}
	default:
		return fmt.Errorf("url: unknown scheme %q; redis, rediss, redis-sentinel or redis-cluster", scheme)
	}
	if path != "" {
		db, err := strconv.ParseUint(path, 10, 16)
		if err != nil || o.IsClusterMode {
			return fmt.Errorf("url: %q is no database number here", path)
		}
		o.DB = int(db)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// client connects to what the file says; nothing is dialed yet.
func (r *RedisConfig) client(dir string) (redis.UniversalClient, error) {
	o, err := r.options()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if r.PasswordFile != "" {
		password, err := readSecret(dir, r.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("redis.password_file: %w", err)
		}
		o.Password = string(password)
	}
	if r.TLS != nil {
		if o.TLSConfig, err = r.TLS.config(dir); err != nil {
			return nil, fmt.Errorf("redis.tls: %w", err)
		}
	}
	return newRedis(o), nil
}

// newRedis is the one place that makes a Redis client. Callers have their own
// deadlines and their own loops around it: nested retries were seen to last
// longer than 30 s (go-redis #3540).
func newRedis(o *redis.UniversalOptions) redis.UniversalClient {
	o.DialTimeout = redisDialTimeout
	o.DialerRetries = 1
	o.ReadTimeout = redisIOTimeout
	o.WriteTimeout = redisIOTimeout
	o.ContextTimeoutEnabled = true
	o.MaxRetries = 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewUniversalClient(o)
}

// pingRedis says whether Redis answers.
func pingRedis(ctx context.Context, rdb redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, 2*redisIOTimeout)
	defer cancel()
	return rdb.Ping(ctx).Err()
}
