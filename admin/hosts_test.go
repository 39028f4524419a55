package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/tenancy"
)

// certificateFor is a self-signed one for a host and its brokers, valid for 60 days.
func certificateFor(t *testing.T, name string) api.SetHost {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name, "*." + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return api.SetHost{
		CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		PrivateKey:       string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	}
}

func (f *fixture) putHost(id, name string) {
	f.t.Helper()
	c := certificateFor(f.t, name)
	h, err := tenancy.NewHost(f.cfg.Sealer, tenancy.InstanceID(id), name, c.CertificateChain, c.PrivateKey, time.Now())
	if err == nil {
		_, _, err = f.store.PutHost(f.t.Context(), tenancy.InstanceID(id), h)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestHosts(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	f.create("t-other", "theirs")
	token, other := f.token("t-acme", "tenant-admin"), f.token("t-other", "tenant-admin")
	const path = "/v1/instances/orders/hosts"
	body := certificateFor(t, "kafka.acme.example")

	a := f.do(token, http.MethodPut, path+"/Kafka.Acme.Example.", body)
	if a.status != http.StatusOK || a.header.Get("Weir-Revision") == "" {
		t.Fatal(a.status, a.body)
	}
	set := decodeAs[api.ChangedHost](t, a)
	if set.Name != "kafka.acme.example" || set.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) || len(set.Fingerprint) != 64 || set.EndsSoon ||
		cmp.Diff([]string{"kafka.acme.example", "*.kafka.acme.example"}, set.SubjectNames) != "" ||
		cmp.Diff([]string{"kafka.acme.example:9092"}, set.Bootstrap) != "" {
		t.Errorf("%+v", set)
	}
	got := f.do(token, http.MethodGet, path, nil)
	if list := decodeAs[api.Hosts](t, got); cmp.Diff([]api.Host{set.Host}, list.Items) != "" {
		t.Errorf("list: %s", got.body)
	}
	instance := f.do(token, http.MethodGet, "/v1/instances/orders", nil)
	if i := decodeAs[api.Instance](t, instance); cmp.Diff([]string{"kafka.acme.example:9092"}, i.OwnBootstrap) != "" {
		t.Errorf("instance: %s", instance.body)
	}
	// The key is nowhere to be seen.
	secret := strings.Split(body.PrivateKey, "\n")[1]
	for what, text := range map[string]string{"answer": a.body, "list": got.body, "instance": instance.body, "log": f.log.String(), "redis": f.redis.Dump()} {
		if strings.Contains(text, secret) || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s shows the key", what)
		}
	}

	if code := f.do(other, http.MethodPut, "/v1/instances/theirs/hosts/kafka.acme.example", body).problem(t).Code; code != "host-taken" {
		t.Errorf("another's: %s", code)
	}
	if code := f.do(other, http.MethodDelete, "/v1/instances/theirs/hosts/kafka.acme.example", nil).problem(t).Code; code != "host-not-found" {
		t.Errorf("deleting another's: %s", code)
	}
	if a := f.do(token, http.MethodDelete, path+"/KAFKA.acme.example", nil); a.status != http.StatusNoContent || a.header.Get("Weir-Revision") == "" {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if code := f.do(token, http.MethodDelete, path+"/kafka.acme.example", nil).problem(t).Code; code != "host-not-found" {
		t.Errorf("deleted twice: %s", code)
	}
	if a := f.do(other, http.MethodPut, "/v1/instances/theirs/hosts/kafka.acme.example", body); a.status != http.StatusOK {
		t.Errorf("free again: %d %s", a.status, a.body)
	}
}

func TestHostsRefused(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	for name, want := range map[string]string{
		"orders.kafka.example.com":     "host-not-allowed",
		"a.b.kafka.example.com":        "host-not-allowed",
		"kafka.example.com":            "host-not-allowed",
		"example.com":                  "host-not-allowed",
		"GATEWAY.example.net":          "host-not-allowed",
		"my-kafka.example.com":         "",
		"kafka.example.com.evil.world": "",
		"192.0.2.1":                    "validation-failed",
		"localhost":                    "validation-failed",
		"b1.acme.example":              "validation-failed",
		"%00.example":                  "validation-failed",
	} {
		a := f.do(token, http.MethodPut, "/v1/instances/orders/hosts/"+name, certificateFor(t, strings.ReplaceAll(name, "%00", "x")))
		if want == "" && a.status != http.StatusOK || want != "" && a.problem(t).Code != want {
			t.Errorf("%s: %d %s, want %q", name, a.status, a.body, want)
		}
	}
	wrong := certificateFor(t, "other.example")
	p := f.do(token, http.MethodPut, "/v1/instances/orders/hosts/kafka.acme.example", wrong).problem(t)
	if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != "body.certificate_chain" || !strings.Contains(p.Error(), "*.kafka.acme.example") {
		t.Errorf("%+v", p)
	}
	p = f.do(token, http.MethodPut, "/v1/instances/orders/hosts/kafka.acme.example", `{"certificate_chain":"x","private_key":"SECRET"}`).problem(t)
	if p.Code != "validation-failed" || strings.Contains(f.log.String()+p.Error(), "SECRET") {
		t.Errorf("%+v", p)
	}
	for i := range tenancy.MaxHosts - 2 {
		f.putHost("orders", string(rune('a'+i))+".example")
	}
	if code := f.do(token, http.MethodPut, "/v1/instances/orders/hosts/kafka.acme.example", certificateFor(t, "kafka.acme.example")).problem(t).Code; code != "hosts-limit-reached" {
		t.Error(code)
	}

	none := newFixture(t)
	none.cfg.Sealer = nil
	none.start()
	none.create("t-acme", "orders")
	p = none.do(none.token("t-acme", "tenant-admin"), http.MethodPut, "/v1/instances/orders/hosts/kafka.acme.example", certificateFor(t, "kafka.acme.example")).problem(t)
	if p.Code != "secrets-not-configured" || !strings.Contains(p.Try, "secrets.key_files") {
		t.Errorf("%+v", p)
	}
}

// A certificate is spoken of in its last 30 days.
func TestHostEndsSoon(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	f.cfg.Now = func() time.Time { return start }
	f.start()
	f.create("t-acme", "orders")
	f.putHost("orders", "kafka.acme.example")
	for after, want := range map[time.Duration]bool{0: false, 29 * 24 * time.Hour: false, 31 * 24 * time.Hour: true, 61 * 24 * time.Hour: true} {
		f.cfg.Now = func() time.Time { return start.Add(after) }
		h, err := New(f.cfg)
		if err != nil {
			t.Fatal(err)
		}
		f.handler = h
		if list := decodeAs[api.Hosts](t, f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/hosts", nil)); list.Items[0].EndsSoon != want {
			t.Errorf("after %s: %t", after, list.Items[0].EndsSoon)
		}
	}
}
