package upstream

import (
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

const (
	// identityWait bounds one KeepIdentity without a deadline.
	identityWait = 10 * time.Second
	// identityEvery is between two looks whether a broker has heard of a change:
	// with KRaft it does within milliseconds.
	identityEvery = 10 * time.Millisecond
	// scramMechanism is SCRAM-SHA-512 in AlterUserScramCredentials (ScramMechanism).
	scramMechanism = 2
)

// KeepIdentity makes the pool let as in with exactly these grants, and returns
// once every broker that is up does. Whatever is right already stays as it is: it
// may be repeated at any time, and by several gateways at once. What else the
// principal may do is taken away; a DENY that somebody gave it stays. changed says
// that something had to be done. Needs ALTER and DESCRIBE on the cluster.
func (p *Pool) KeepIdentity(ctx context.Context, as *Identity, grants []Grant) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, identityWait)
	defer cancel()
	changed, err = p.setGrants(ctx, as.User, grants)
	if err != nil {
		return changed, fmt.Errorf("acls of %s: %w", as, err)
	}
	brokers := p.candidates()
	if len(brokers) == 0 {
		return changed, fmt.Errorf("pool %q: no broker is up: %w", p.cfg.Name, p.health.lastError())
	}
	right, err := p.passwordRight(ctx, brokers[0], as)
	if err == nil && !right {
		changed, err = true, p.putUser(ctx, as)
	}
	if err != nil {
		return changed, fmt.Errorf("password of %s: %w", as, err)
	}
	return changed, p.awaitIdentity(ctx, brokers, as, grants)
}

// passwordRight tries whether the pool lets the identity in. Whether there is such
// a user is asked first: brokers take 100 ms to refuse a login
// (connection.failed.authentication.delay.ms).
func (p *Pool) passwordRight(ctx context.Context, b Broker, as *Identity) (bool, error) {
	if there, err := hasUser(ctx, p.Request, as.User); err != nil || !there {
		return false, err
	}
	err := p.login(ctx, b, as)
	if errors.Is(err, ErrIdentity) {
		return false, nil
	}
	return err == nil, err
}

// hasUser reports whether there is a user with a SCRAM-SHA-512 password.
func hasUser(ctx context.Context, ask func(context.Context, kmsg.Request) (kmsg.Response, error), user string) (bool, error) {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
	u.Name = user
	req.Users = append(req.Users, u)
	answer, err := ask(ctx, req)
	if err != nil {
		return false, err
	}
	resp := answer.(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return false, err
	}
	for _, r := range resp.Results {
		for _, c := range r.CredentialInfos {
			if c.Mechanism == scramMechanism {
				return true, nil
			}
		}
	}
	return false, nil
}

// RemoveIdentity takes a user out of the pool with all its ACLs; nil if there is
// nothing of it. Connections that it has go on. Needs ALTER on the cluster.
func (p *Pool) RemoveIdentity(ctx context.Context, user string) error {
	ctx, cancel := context.WithTimeout(ctx, identityWait)
	defer cancel()
	del := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	d.Name, d.Mechanism = user, scramMechanism
	del.Deletions = append(del.Deletions, d)
	if err := p.alterUser(ctx, del); err != nil && !errors.Is(err, kerr.ResourceNotFound) {
		return fmt.Errorf("removing user %s of pool %q: %w", user, p.cfg.Name, err)
	}
	acls := kmsg.NewPtrDeleteACLsRequest()
	acls.Filters = append(acls.Filters, ofPrincipal(user))
	return p.deleteACLs(ctx, acls)
}

// putUser sets the user's password, under a new salt.
func (p *Pool) putUser(ctx context.Context, as *Identity) error {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // it never fails
	salted, err := pbkdf2.Key(sha512.New, as.mech.password, salt, scramIterations, sha512.Size)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = as.User, scramMechanism, scramIterations, salt, salted
	req.Upsertions = append(req.Upsertions, u)
	return p.alterUser(ctx, req)
}

func (p *Pool) alterUser(ctx context.Context, req *kmsg.AlterUserSCRAMCredentialsRequest) error {
	answer, err := p.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, r := range answer.(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

// login tries whether a broker lets the identity in.
func (p *Pool) login(ctx context.Context, b Broker, as *Identity) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	c, err := p.connect(ctx, b.addr(), as)
	if err != nil {
		return fmt.Errorf("pool %q: broker %d at %s: %w", p.cfg.Name, b.Node, b.addr(), err)
	}
	return c.Close()
}

// awaitIdentity waits until each of the brokers lets the identity in and knows
// its grants: they hear of changes by themselves. One that falls silent
// meanwhile is not waited for.
func (p *Pool) awaitIdentity(ctx context.Context, brokers []Broker, as *Identity, grants []Grant) error {
	client, err := p.control(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range brokers {
		g.Go(func() error {
			for p.health.down(b.Node) == nil {
				err := p.knows(ctx, client.Broker(int(b.Node)), b, as, grants)
				if err == nil {
					return nil
				}
				if sleep(ctx, identityEvery) != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// knows is nil if one broker has heard of the identity as it is to be.
func (p *Pool) knows(ctx context.Context, at *kgo.Broker, b Broker, as *Identity, grants []Grant) error {
	answer, err := at.Request(ctx, describePrincipal(as.User))
	if err != nil {
		return fmt.Errorf("pool %q: broker %d: %w", p.cfg.Name, b.Node, err)
	}
	has, err := grantsOf(answer.(*kmsg.DescribeACLsResponse))
	if err != nil {
		return fmt.Errorf("pool %q: broker %d: %w", p.cfg.Name, b.Node, err)
	}
	if missing, _ := difference(grants, has[as.User]); len(missing) > 0 {
		return fmt.Errorf("pool %q: broker %d does not know %d acls of %s yet", p.cfg.Name, b.Node, len(missing), as)
	}
	if there, err := hasUser(ctx, at.Request, as.User); err != nil || !there {
		return cmp.Or(err, fmt.Errorf("pool %q: broker %d does not know %s yet", p.cfg.Name, b.Node, as))
	}
	return p.login(ctx, b, as)
}
