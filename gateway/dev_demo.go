package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/admin/clientfiles"
	"weir/auth"
	"weir/tenancy"
)

// The instance that `weir dev` makes, so that there is one to try.
const (
	demoInstance tenancy.InstanceID = "demo"
	demoUser                        = "demo"
	devTenant    tenancy.TenantID   = "t-dev"
	devPlan                         = "dev"

	// checkTimeout bounds the look at all brokers before "ready".
	checkTimeout = 30 * time.Second
)

// ensureDemo makes the instance demo with its user, or what is missing of them.
func (d *dev) ensureDemo(ctx context.Context, store *tenancy.Store) error {
	in, err := store.Instance(ctx, demoInstance)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return d.createDemo(ctx, store)
	case err != nil:
		return err
	case in.State != tenancy.StateActive:
		return userError("demo-instance-gone", nil, []string{"weir dev --fresh      starts over, with everything in " + d.site.dir + "/data gone"},
			"the instance demo is %s, and an id is never used again", in.State)
	}
	user, err := store.User(ctx, demoInstance, demoUser)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err == nil && knows(in, user, d.secrets) {
		return nil
	}
	// Deleted by somebody, or made by another data folder on this same Redis.
	credentials, err := auth.NewCredentials(d.secrets.Pepper, rand.Reader, d.secrets.Password)
	if err != nil {
		return err
	}
	user.Name, user.Disabled, user.Credentials = demoUser, false, credentials
	if user.CreatedAt.IsZero() {
		user.CreatedAt = d.started.UTC()
	}
	_, _, err = store.PutUser(ctx, demoInstance, user)
	return err
}

func (d *dev) createDemo(ctx context.Context, store *tenancy.Store) error {
	credentials, err := auth.NewCredentials(d.secrets.Pepper, rand.Reader, d.secrets.Password)
	if err != nil {
		return err
	}
	cluster, err := tenancy.NewClusterID(rand.Reader)
	if err != nil {
		return err
	}
	_, _, err = store.CreateInstance(ctx, tenancy.Instance{
		ID: demoInstance, Name: string(demoInstance), Tenant: devTenant, Plan: devPlan, Pool: devPool,
		State: tenancy.StateActive, ClusterID: cluster, CreatedAt: d.started.UTC(),
	}, tenancy.User{Name: demoUser, Credentials: credentials, CreatedAt: d.started.UTC()})
	return err
}

// oneView is an auth.Lookup with one instance in it.
type oneView tenancy.View

func (v *oneView) View(id tenancy.InstanceID) (*tenancy.View, bool) {
	return (*tenancy.View)(v), id == v.Instance.ID
}

// knows says whether the known password is the user's, asked as a client would ask.
func knows(in tenancy.Instance, user tenancy.User, known secrets) bool {
	view := &oneView{
		Instance: in, Space: tenancy.NewNamespace(in.ID), Access: &tenancy.Access{},
		Users: map[string]tenancy.User{user.Name: user},
	}
	a := auth.New(auth.Config{Directory: view, Log: discardLog(), Pepper: known.Pepper})
	c, ok := a.Start(auth.Plain, auth.Peer{From: tenancy.From{Addr: netip.IPv6Loopback()}, Instance: in.ID})
	if !ok {
		return false
	}
	_, done, err := c.Step([]byte("\x00" + user.Name + "\x00" + known.Password))
	return done && err == nil
}

// connection is how clients reach demo.
func (d *dev) connection() clientfiles.Connection {
	return clientfiles.Connection{
		Bootstrap: []string{d.listen.String()}, Mechanism: auth.ScramSHA512,
		Username: demoUser + "@" + string(demoInstance), Password: d.secrets.Password, CA: d.ca, TLS: true,
	}
}

// check asks every broker something as the user demo through the gateway's own port: what
// "ready" promises. It moves no record: that would be the first one of which demo's usage
// tells, and nobody could say whose it was.
func (d *dev) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c := d.connection()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.Bootstrap...),
		kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism()),
		kgo.ClientID("weir-dev"),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = []kmsg.MetadataRequestTopic{} // none; nil is all
	brokers, err := ask.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, b := range brokers.Brokers {
		if _, err := client.Broker(int(b.NodeID)).RetriableRequest(ctx, ask); err != nil {
			return fmt.Errorf("broker %d: %w", b.NodeID, err)
		}
	}
	return nil
}
