//go:build real

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"weir/internal/parts"
)

// tokenLife is how long the issuer's tokens last: clients re-authenticate several
// times in a story.
const tokenLife = 20 * time.Second

// issuer is clients/issuer at work.
type issuer struct {
	t         *testing.T
	url, http string
}

// startIssuer starts an issuer that w's gateways may believe, once they start.
func (w *world) startIssuer() *issuer {
	w.t.Helper()
	program := filepath.Join(w.dir, "issuer")
	build := exec.CommandContext(w.t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("clients", "issuer") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("go build: %v\n%s", err, out)
	}
	port := parts.FreePorts(w.t, 2)
	keys, tokens := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	log := filepath.Join(w.dir, "issuer.log")
	parts.Start(w.t, log, nil, program, filepath.Join(w.dir, "ca.pem"), filepath.Join(w.dir, "key.pem"), keys, tokens, tokenLife.String())
	w.auth = fmt.Sprintf(`, issuers: [{url: "https://%s/", ca_file: ca.pem, private: ["127.0.0.0/8"]}]`, keys)
	i := &issuer{t: w.t, url: "https://" + keys + "/realms/e2e", http: "http://" + tokens}
	parts.Await(w.t, "the issuer answers ("+log+")", time.Minute, func() bool {
		resp, err := http.Get(i.http + "/stats")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	return i
}

// token asks for one as a client does.
func (i *issuer) token(client string) string {
	resp, err := http.PostForm(i.http+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {"secret"},
	})
	if err != nil {
		i.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		i.t.Error(err)
	}
	return got.AccessToken
}

func (i *issuer) do(what string) {
	resp, err := http.Post(i.http+what, "", nil)
	if err != nil {
		i.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// stats are how many tokens each client had, and how often keys were asked for.
func (i *issuer) stats() (tokens map[string]int, asked int) {
	resp, err := http.Get(i.http + "/stats")
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Tokens map[string]int
		Asked  int
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		i.t.Fatal(err)
	}
	return got.Tokens, got.Asked
}

// bearer is how franz-go connects with the issuer's tokens; the endpoint has no
// host name of the instance, so the extension names it (KIP-342).
func (i *issuer) bearer(w *world, in instance, token func() string, more ...kgo.Opt) *kgo.Client {
	i.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(w.bootstrap()),
		kgo.DialTLSConfig(&tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			return oauth.Auth{Token: token(), Extensions: map[string]string{"instance": in.id}}, nil
		})),
	}, more...)...)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(cl.Close)
	return cl
}

// TestOAuth is produce and fetch with tokens of a real issuer: three libraries,
// sessions renewed several times on their connections (KIP-368; who has nothing to
// say for so long is cut off and does not mind), a key rotation in the middle, and
// no error. Then a key is taken back, and the issuer itself.
func TestOAuth(t *testing.T) {
	w := newWorld(t)
	idp := w.startIssuer()
	g := w.start("g1")
	in := w.create(g, "i-oauth")
	setup := w.client(in)
	for _, topic := range []string{"franz", "java", "rdkafka"} {
		w.createTopic(setup, topic, 3)
	}
	setup.Close()
	var made struct{ Keys struct{ IDs []string } }
	w.call(g, http.MethodPut, "/v1/instances/i-oauth/issuers/e2e", `{"url":"`+idp.url+`","audiences":["kafka"],"scopes":["kafka"]}`, http.StatusOK, &made)
	if len(made.Keys.IDs) != 2 {
		t.Fatalf("the gateway has %d keys", len(made.Keys.IDs))
	}

	loads := []*load{idp.franz(w, in), idp.java(w, in), idp.librdkafka(w, in)}
	for _, l := range loads {
		parts.Await(t, l.name+" is at its pace", time.Minute, l.running)
	}
	first, asked := idp.stats()
	idp.do("/rotate")
	parts.Await(t, "three more tokens for each", 4*tokenLife, func() bool {
		now, _ := idp.stats()
		return now["franz"] >= first["franz"]+3 && now["java"] >= first["java"]+3 && now["rdkafka"] >= first["rdkafka"]+3
	})
	tokens, later := idp.stats()
	var out strings.Builder
	fmt.Fprintf(&out, "tokens: %v; keys asked for %d times, %d of them after the rotation\n", tokens, later, later-asked)
	idp.revoked(w, g, in, &out)
	for _, l := range loads {
		l.stop()
	}
	for _, l := range loads {
		parts.Await(t, l.name+" has read what was acknowledged", time.Minute, func() bool { return l.complete() })
		l.end()
		l.close(&out)
	}
	t.Log("\n" + out.String())
	text, err := os.ReadFile(g.log)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("eyJ")) {
		t.Error("there is a token in the gateway's log")
	}
}

// revoked takes back the key of one long-lived token under the others' load, whose
// tokens have other keys: its connection ends as soon as the gateway has the new
// keys, which it asks for when the others bring a key that it does not know. Then the issuer goes, on
// another instance's account.
func (i *issuer) revoked(w *world, g *gateway, in instance, out *strings.Builder) {
	i.t.Helper()
	long := i.token("long")
	session := i.watch(w, in, long)
	i.do("/rotate")
	i.do("/retire")
	fmt.Fprintf(out, "a key is taken back: its session ended after %s\n", session(5*time.Minute+5*time.Second))

	other := w.create(g, "i-other")
	body := `{"url":"` + i.url + `","audiences":["kafka"]}`
	w.call(g, http.MethodPut, "/v1/instances/i-other/issuers/e2e", body, http.StatusOK, nil)
	session = i.watch(w, other, i.token("long"))
	w.call(g, http.MethodDelete, "/v1/instances/i-other/issuers/e2e", "", http.StatusNoContent, nil)
	took := session(5 * time.Second)
	fmt.Fprintf(out, "an issuer is deleted: its session ended after %s\n", took)
	if took > 500*time.Millisecond {
		i.t.Errorf("it took %s", took)
	}
}

// watch opens a session with one token and returns what waits for its end, and says
// how long it took from now. franz-go sees an end only when it has something to say.
func (i *issuer) watch(w *world, in instance, token string) (ended func(limit time.Duration) time.Duration) {
	i.t.Helper()
	var gone atomic.Int64
	cl := i.bearer(w, in, func() string { return token }, kgo.WithHooks(leaving{&gone}))
	if err := cl.Ping(i.t.Context()); err != nil {
		i.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(i.t.Context())
	go func() {
		for gone.Load() == 0 && ctx.Err() == nil {
			_ = cl.Ping(ctx)
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		cl.Close()
	}()
	begin := time.Now()
	return func(limit time.Duration) time.Duration {
		i.t.Helper()
		defer cancel()
		parts.Await(i.t, "the session of "+in.id+" ends", limit, func() bool { return gone.Load() > 0 })
		return time.Duration(gone.Load() - begin.UnixNano()).Round(time.Microsecond)
	}
}

// leaving notes when a connection ends.
type leaving struct{ at *atomic.Int64 }

func (l leaving) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	l.at.CompareAndSwap(0, time.Now().UnixNano())
}

func (i *issuer) franz(w *world, in instance) *load {
	l := newLedger(w.t, "franz-go")
	opts := []kgo.Opt{kgo.WithHooks(hooks{l}), kgo.WithLogger(logger{l})}
	token := func() string { return i.token("franz") }
	producer := i.bearer(w, in, token, append(opts, kgo.DefaultProduceTopic("franz"))...)
	consumer := i.bearer(w, in, token, append(opts, kgo.ConsumerGroup("franz-group"), kgo.ConsumeTopics("franz"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())...)
	return w.franzWith(l, producer, consumer)
}

func (i *issuer) java(w *world, in instance) *load {
	w.write("oauth.properties", fmt.Appendf(nil, `bootstrap.servers=%s
security.protocol=SASL_SSL
sasl.mechanism=OAUTHBEARER
sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler
sasl.oauthbearer.token.endpoint.url=%s/token
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="java" clientSecret="secret" scope="kafka" extension_instance="%s";
sasl.login.refresh.min.period.seconds=1
sasl.login.refresh.buffer.seconds=3
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, w.bootstrap(), i.http, in.id, filepath.Join(w.dir, "ca.pem")))
	return w.javaWith(filepath.Join(w.dir, "oauth.properties"), "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls="+i.http+"/token")
}

func (i *issuer) librdkafka(w *world, in instance) *load {
	sasl, err := json.Marshal(map[string]string{
		"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "rdkafka",
		"sasl.oauthbearer.client.secret": "secret", "sasl.oauthbearer.token.endpoint.url": i.http + "/token",
		"sasl.oauthbearer.extensions": "instance=" + in.id, "sasl.oauthbearer.scope": "kafka",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Setenv("LOAD_SASL", string(sasl))
	return w.librdkafka(instance{id: in.id})
}
