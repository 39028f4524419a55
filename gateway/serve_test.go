package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/admin"
	"weir/admin/api"
	"weir/internal/parts"
	"weir/metering"
)

// served is a `weir serve` in this process, on a Redis and brokers that listen
// on loopback.
type served struct {
	admin, kafka string
	log          *syncBuffer
	stop         context.CancelFunc
	now          chan struct{}
	done         chan error
}

const serveYAML = `
redis: {url: "redis://%s"}
pools: [{name: main, bootstrap: ["%s"]}]
listeners:
  - address: 127.0.0.1:%[3]d
    plaintext: true
    brokers: [{pool: main, host: 127.0.0.1, first_port: %[4]d, nodes: [0, 1, 2]}]
admin: {address: "127.0.0.1:%[5]d", token_key_file: secrets/token-key}
auth: {pepper_file: secrets/pepper}
drain: {grace: %[6]s, spread: 100ms}
`

func startServe(t *testing.T, grace time.Duration) *served {
	t.Helper()
	kafka := kfake.MustCluster(kfake.NumBrokers(3))
	t.Cleanup(kafka.Close)
	port := parts.FreePorts(t, 5)
	cfg, err := load(t, fmt.Sprintf(serveYAML, miniredis.RunT(t).Addr(), kafka.ListenAddrs()[0], port, port+1, port+4, grace))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &served{
		admin: fmt.Sprintf("http://127.0.0.1:%d", port+4), kafka: fmt.Sprintf("127.0.0.1:%d", port),
		log: &syncBuffer{}, stop: stop, now: make(chan struct{}), done: make(chan error, 1),
	}
	go func() { s.done <- Serve(ctx, cfg, s.log, "test", s.now) }()
	t.Cleanup(func() {
		if s.done == nil {
			return
		}
		stop()
		close(s.now)
		<-s.done
	})
	s.waitReady(t, http.StatusOK)
	return s
}

// waitReady polls /readyz until it answers with status.
func (s *served) waitReady(t *testing.T, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if got, _ := request(ctx, http.MethodGet, s.admin+"/readyz", "", nil); got == status {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never %d; log:\n%s", status, s.log)
		}
	}
}

func request(ctx context.Context, method, url, token string, body []byte) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, answer
}

// operatorToken is of the key that load has put into the working folder.
func operatorToken(t *testing.T) string {
	t.Helper()
	key, err := os.ReadFile("secrets/token-key")
	if err != nil {
		t.Fatal(err)
	}
	token, err := admin.NewToken(bytes.TrimSpace(key), admin.Claims{
		Tenant: "t-acme", Roles: []string{"operator"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tenant creates an instance with a user over REST and connects to it.
func (s *served) tenant(t *testing.T, name string) *kgo.Client {
	t.Helper()
	token := operatorToken(t)
	create := func(path string, body any) []byte {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := request(t.Context(), http.MethodPost, s.admin+path, token, data)
		if status != http.StatusCreated {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
		return answer
	}
	var instance api.Instance
	if err := json.Unmarshal(create("/v1/instances", map[string]string{"name": name}), &instance); err != nil {
		t.Fatal(err)
	}
	var user api.CreatedUser
	if err := json.Unmarshal(create("/v1/instances/"+instance.ID+"/users", map[string]string{"name": "alice"}), &user); err != nil {
		t.Fatal(err)
	}
	if user.Username != "alice@"+instance.ID || len(instance.Bootstrap) != 1 || instance.Bootstrap[0] != s.kafka {
		t.Errorf("told %s at %v, want alice@%s at %s", user.Username, instance.Bootstrap, instance.ID, s.kafka)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(instance.Bootstrap...),
		kgo.SASL(scram.Auth{User: user.Username, Pass: user.Credentials.Password}.AsSha256Mechanism()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(20*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestServe: from a file to a record, and an orderly stop.
func TestServe(t *testing.T) {
	s := startServe(t, time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a, b := s.tenant(t, "a"), s.tenant(t, "b")
	for _, c := range []*kgo.Client{a, b} {
		if err := roundTrip(ctx, c); err != nil {
			t.Fatal(err)
		}
	}

	s.stop()
	s.waitReady(t, http.StatusServiceUnavailable) // while connections are still accepted
	if err := b.Ping(ctx); err != nil {
		t.Errorf("a client is refused though the grace is not over: %v", err)
	}
	if err := <-s.done; err != nil {
		t.Errorf("an orderly stop is no error: %v", err)
	}
	s.done = nil
	wantCounted(t, 2)
	for line := range strings.Lines(s.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a log line is no JSON: %s", line)
		}
	}
}

// wantCounted wants Redis to have, after the stop of the only gateway, the final counts of
// so many records produced and fetched.
func wantCounted(t *testing.T, records int64) {
	t.Helper()
	cfg, err := Load("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rdb, err := cfg.Redis.client(cfg.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	store, sum := metering.NewStore(metering.StoreConfig{Redis: rdb}), metering.Values{}
	for hour := metering.HourOf(time.Now()) - 1; hour <= metering.HourOf(time.Now()); hour++ {
		for id, err := range store.Instances(t.Context(), hour) {
			if err != nil {
				t.Fatal(err)
			}
			counts, _, err := store.Counts(t.Context(), id, hour)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				sum = sum.Plus(c.Values)
				if !c.Final {
					t.Errorf("a count is not final after the stop: %+v", c)
				}
			}
		}
	}
	if sum[metering.ProduceRecords] != records || sum[metering.FetchRecords] != records || sum[metering.ConnectionAttempts] == 0 {
		t.Errorf("counted %v, want %d records produced and fetched", sum, records)
	}
}

// roundTrip makes a topic, produces a record and fetches it again.
func roundTrip(ctx context.Context, client *kgo.Client) error {
	const topic = "there-and-back"
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, -1, nil, topic); err != nil {
		return fmt.Errorf("creating a topic: %w", err)
	}
	client.AddConsumeTopics(topic)
	mark := rand.Text()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(mark)}).FirstErr(); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("fetching: %w", errors.Join(fetches.Err0(), ctx.Err()))
		}
		for _, r := range fetches.Records() {
			if string(r.Value) == mark {
				return nil
			}
		}
	}
}

// TestServeNow: closing now ends a drain that would last an hour.
func TestServeNow(t *testing.T) {
	s := startServe(t, time.Hour)
	client := s.tenant(t, "a")
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.waitReady(t, http.StatusServiceUnavailable)
	close(s.now)
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done = nil // seen
}

// TestServeComponentFails: what fails in the background stops everything, and
// is what run returns.
func TestServeComponentFails(t *testing.T) {
	startServe(t, time.Millisecond) // for its files; a Redis and brokers
	cfg, err := Load("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	port := parts.FreePorts(t, 5)
	l := &cfg.Listeners[0]
	l.Address, l.Brokers[0].FirstPort = fmt.Sprintf("127.0.0.1:%d", port), port+1
	cfg.Admin.Address = fmt.Sprintf("127.0.0.1:%d", port+4)
	a, err := cfg.assemble(discardLog(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer a.rdb.Close()
	p, err := compose(t.Context(), *a)
	if err != nil {
		t.Fatal(err)
	}
	broken, over, outlasted := errors.New("broken"), make(chan struct{}), false
	p.background = append(p.background, component{"test", func(context.Context) error {
		<-p.warm
		return broken
	}}, component{"slow", func(ctx context.Context) error {
		defer close(over)
		<-ctx.Done()
		<-time.After(50 * time.Millisecond) // so that what comes last would end first if it did not wait
		return nil
	}})
	p.last = append(p.last, component{"last", func(ctx context.Context) error {
		<-ctx.Done()
		select {
		case <-over:
			outlasted = true
		default:
		}
		return nil
	}})
	if err := p.run(t.Context(), nil); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "test: ") {
		t.Errorf("error is %v", err)
	}
	if !outlasted {
		t.Error("what counts sessions ended before what runs in the background")
	}
}

// TestServePortInUse: what cannot be bound is an error of the start.
func TestServePortInUse(t *testing.T) {
	s := startServe(t, time.Millisecond)
	cfg, err := Load("weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(t.Context(), cfg, io.Discard, "test", nil)
	if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(s.admin, "http://")) {
		t.Errorf("error is %v, want one that names the address", err)
	}
}
