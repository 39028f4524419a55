package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/auth"
	"weir/tenancy"
)

// mechanisms as a user of an instance, by name.
func mechanisms(user, password string) map[string]sasl.Mechanism {
	return map[string]sasl.Mechanism{
		auth.ScramSHA256: scram.Auth{User: user, Pass: password}.AsSha256Mechanism(),
		auth.ScramSHA512: scram.Auth{User: user, Pass: password}.AsSha512Mechanism(),
		auth.Plain:       plain.Auth{User: user, Pass: password}.AsMechanism(),
	}
}

// logins are the mechanisms by which a user gets in.
func (r *rig) logins(user, password string) (in []string) {
	r.t.Helper()
	for name, mechanism := range mechanisms(user, password) {
		cl, err := kgo.NewClient(kgo.SeedBrokers(r.srv.Addrs()[0]), kgo.DialTLSConfig(r.tls()), kgo.SASL(mechanism))
		if err != nil {
			r.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
		err = cl.Ping(ctx)
		cancel()
		cl.Close()
		switch {
		case err == nil:
			in = append(in, name)
		case !errors.Is(err, kerr.SaslAuthenticationFailed):
			r.t.Fatalf("%s by %s: %v", user, name, err)
		}
	}
	slices.Sort(in)
	return in
}

// wantLogins checks that a user gets in by those mechanisms and no others.
func (r *rig) wantLogins(user, password string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.logins(user, password)); diff != "" {
		r.t.Errorf("%s gets in by (-want +got):\n%s", user, diff)
	}
}

// alterSCRAM changes users over Kafka's protocol.
func alterSCRAM(t *testing.T, adm *kadm.Client, del []kadm.DeleteSCRAM, upsert ...kadm.UpsertSCRAM) {
	t.Helper()
	altered, err := adm.AlterUserSCRAMs(t.Context(), del, upsert)
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// describeSCRAM is what there is of all users: "bob 256=4096".
func describeSCRAM(t *testing.T, adm *kadm.Client) (all []string) {
	t.Helper()
	described, err := adm.DescribeUserSCRAMs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range described.Sorted() {
		line := []string{u.User}
		for _, c := range u.CredInfos {
			line = append(line, c.String())
		}
		all = append(all, strings.Join(line, " "))
	}
	return all
}

// A user's life over Kafka's own protocol. A change is in force when it is
// answered, also for whoever asks elsewhere, and only in its instance.
func TestUsersOverKafka(t *testing.T) {
	r := newRig(t)
	adm, other := kadm.NewClient(r.client("a")), kadm.NewClient(r.client("b"))
	const short, long = kadm.ScramSha256, kadm.ScramSha512

	alterSCRAM(t, adm, nil, kadm.UpsertSCRAM{User: "bob", Mechanism: short, Iterations: 4096, Password: password})
	r.wantLogins("bob@i-a", password, auth.ScramSHA256)
	r.wantLogins("bob@i-a", "a new password")
	r.wantLogins("bob@i-b", password)
	const u = "u SCRAM-SHA-256=iterations=8192 SCRAM-SHA-512=iterations=8192"
	if diff := cmp.Diff([]string{"bob SCRAM-SHA-256=iterations=4096", u}, describeSCRAM(t, adm)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{u}, describeSCRAM(t, other)); diff != "" {
		t.Error("the other instance:\n" + diff)
	}

	// One connection; a new one would need the password of the moment.
	session, err := kgo.NewClient(kgo.SeedBrokers(r.srv.Addrs()[0]), kgo.DialTLSConfig(r.tls()),
		kgo.SASL(mechanisms("bob@i-a", password)[auth.ScramSHA256]))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	bob := func() error {
		_, err := session.SeedBrokers()[0].Request(t.Context(), kmsg.NewPtrMetadataRequest())
		return err
	}
	if err := bob(); err != nil {
		t.Fatal(err)
	}
	// A new password ends no session; the next login needs it.
	alterSCRAM(t, adm, nil, kadm.UpsertSCRAM{User: "bob", Mechanism: short, Iterations: 4096, Password: "a new password"})
	r.wantLogins("bob@i-a", password)
	alterSCRAM(t, adm, nil, kadm.UpsertSCRAM{User: "bob", Mechanism: long, Iterations: 16384, Password: "a new password"})
	r.wantLogins("bob@i-a", "a new password", auth.ScramSHA256, auth.ScramSHA512)
	alterSCRAM(t, adm, []kadm.DeleteSCRAM{{User: "bob", Mechanism: short}})
	r.wantLogins("bob@i-a", "a new password", auth.ScramSHA512)
	if err := bob(); err != nil {
		t.Errorf("the session from before the change: %v", err)
	}

	// With its last credential the user goes, and its session.
	alterSCRAM(t, adm, []kadm.DeleteSCRAM{{User: "bob", Mechanism: long}})
	r.wantLogins("bob@i-a", "a new password")
	r.logs(reasonRevoked)
	if err := bob(); err == nil {
		t.Error("the session of a user that is gone goes on")
	}
	if diff := cmp.Diff([]string{u}, describeSCRAM(t, adm)); diff != "" {
		t.Error(diff)
	}
	altered, err := adm.AlterUserSCRAMs(t.Context(), []kadm.DeleteSCRAM{{User: "bob", Mechanism: long}}, nil)
	if err != nil || !errors.Is(altered["bob"].Err, kerr.ResourceNotFound) {
		t.Errorf("removed once more: %v, %v", altered["bob"].Err, err)
	}

	// A password that was set here ends with the one that comes over Kafka's protocol,
	// as far as PLAIN goes, which cannot be told the new one.
	r.wantLogins("u@i-a", password, auth.Plain, auth.ScramSHA256, auth.ScramSHA512)
	alterSCRAM(t, adm, nil, kadm.UpsertSCRAM{User: "u", Mechanism: short, Iterations: 8192, Password: "a new password"})
	r.wantLogins("u@i-a", password, auth.ScramSHA512)
	r.wantLogins("u@i-a", "a new password", auth.ScramSHA256)
}

// What one client changes another one reads, in its instance only; the store of the
// gateways has it too.
func TestQuotasOverKafka(t *testing.T) {
	r := newRig(t)
	adm, other := kadm.NewClient(r.client("a")), kadm.NewClient(r.client("b"))
	name := "bob"
	entity := kadm.ClientQuotaEntity{{Type: "user", Name: &name}, {Type: "client-id"}}
	altered, err := adm.AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
		Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: tenancy.QuotaProducerBytes, Value: 1000}, {Key: tenancy.QuotaRequestTime, Value: 12.5}},
	}})
	if err != nil || len(altered) != 1 || altered[0].Err != nil {
		t.Fatalf("%v, %v", altered, err)
	}
	view, _ := r.dir.View("i-a")
	everybody := ""
	want := []tenancy.Quota{{
		Entity: tenancy.QuotaEntity{User: &name, ClientID: &everybody},
		Values: map[string]float64{tenancy.QuotaProducerBytes: 1000, tenancy.QuotaRequestTime: 12.5},
	}}
	if diff := cmp.Diff(want, view.Quotas); diff != "" {
		t.Errorf("in force when answered (-want +got):\n%s", diff)
	}
	described, err := adm.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchType: 2}})
	if err != nil || len(described) != 1 || described[0].Entity.String() != entity.String() || len(described[0].Values) != 2 {
		t.Errorf("%v, %v", described, err)
	}
	if described, err = other.DescribeClientQuotas(t.Context(), false, nil); err != nil || len(described) != 0 {
		t.Errorf("the other instance: %v, %v", described, err)
	}
	_, err = adm.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "ip", MatchType: 2}})
	if !errors.Is(err, kerr.InvalidRequest) || strings.Contains(r.log.String(), "12.5") {
		t.Errorf("by ip: %v", err)
	}
}
