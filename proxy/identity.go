package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/tenancy"
	"weir/upstream"
)

const (
	// identityTries is how often a refused identity is looked up and tried again:
	// while it is being replaced, its password is newer in one of two places.
	identityTries = 4
	// identityPause is between two of these tries.
	identityPause = 100 * time.Millisecond
	// poolWideTimeout bounds one request of poolWide.
	poolWideTimeout = 30 * time.Second
)

// connect dials a broker as the pool wants it: as the gateway, or as the
// principal of this client's instance, and then as nobody else.
func (c *conn) connect(node int32) (*upstream.Conn, error) {
	if !c.pool.PerInstance() {
		up, err := c.pool.Dial(c.ctx, node, nil)
		return up, unreachable(node, err)
	}
	for try := 1; ; try++ {
		view, ok := c.srv.cfg.Directory.View(c.principal.Instance)
		if !ok {
			return nil, &closing{reason: reasonRevoked}
		}
		as, err := c.srv.compiled(view).identity()
		if err != nil {
			return nil, c.noIdentity(err)
		}
		up, err := c.pool.Dial(c.ctx, node, as)
		if !errors.Is(err, upstream.ErrIdentity) {
			return up, unreachable(node, err)
		}
		if try == identityTries || !wait(c.ctx, identityPause) {
			return nil, c.noIdentity(err)
		}
	}
}

// noIdentity ends a connection that has no way into the pool.
func (c *conn) noIdentity(err error) error {
	if c.srv.cfg.MissingIdentity != nil {
		c.srv.cfg.MissingIdentity(c.principal.Instance)
	}
	return &closing{
		reason: reasonIdentity, err: err,
		fix: "the gateway repairs it by itself if its user may ALTER the pool's cluster; see what it logs of identities",
	}
}

func unreachable(node int32, err error) error {
	if err == nil {
		return nil
	}
	return &closing{reason: reasonUnreachable, err: fmt.Errorf("node %d: %w", node, err)}
}

// openIdentity opens the principal of a view's instance.
func (s *Server) openIdentity(v *tenancy.View) (*upstream.Identity, error) {
	id := v.Access.Identity
	switch {
	case id == nil:
		return nil, fmt.Errorf("instance %s has no principal in pool %s yet", v.Instance.ID, v.Instance.Pool)
	case s.cfg.Sealer == nil:
		return nil, fmt.Errorf("no key to open the password of User:%s with: set secrets.key_files", id.User)
	case id.Mechanism != tenancy.IdentityMechanism:
		return nil, fmt.Errorf("principal User:%s has mechanism %.40q, want %s", id.User, id.Mechanism, tenancy.IdentityMechanism)
	}
	password, err := s.cfg.Sealer.Open(v.Instance.ID, tenancy.IdentityPlace(v.Instance.Pool), id.Password)
	if err != nil {
		return nil, err
	}
	return upstream.NewIdentity(id.User, string(password)), nil
}

// poolWide is of requests for which Kafka wants DESCRIBE on the cluster. With it an
// instance's principal could see every group, every topic's size and every ACL of
// the pool, so it has none, and these few go as the gateway, over a connection of
// their own: what they name and what they answer is mapped as any other.
func poolWide(key int16) bool {
	return kmsg.Key(key) == kmsg.DescribeLogDirs || kmsg.Key(key) == kmsg.ListPartitionReassignments
}

// askAsGateway asks the broker over a connection of the gateway's own principal,
// which ends with the answer.
func (c *conn) askAsGateway(h wire.RequestHeader, p *pending, plan rewrite.Plan) error {
	up, err := c.pool.Dial(c.ctx, c.node, nil)
	if err != nil {
		return unreachable(c.node, err)
	}
	defer func() { _ = up.Close() }()
	defer context.AfterFunc(c.ctx, func() { _ = up.Close() })()
	frame, err := exchangeWith(up, h, plan)
	if err != nil {
		return &closing{reason: reasonUpstreamLost, err: fmt.Errorf("node %d: %w", up.Node, err)}
	}
	p.frames.asGateway(h, plan, frame, c.isFar(up.Node))
	answer, err := c.answerOf(p, up.Node, frame)
	if err != nil {
		return err
	}
	return c.reply(p, answer)
}

// exchangeWith is one exchange with a broker.
func exchangeWith(up *upstream.Conn, h wire.RequestHeader, plan rewrite.Plan) ([]byte, error) {
	if err := up.SetDeadline(time.Now().Add(poolWideTimeout)); err != nil {
		return nil, err
	}
	if err := wire.NewWriter(up.Conn).Write(wire.AppendRequest(nil, h, wire.Size(plan.Request)), plan.Request); err != nil {
		return nil, err
	}
	return wire.NewReader(up.Conn).Next(math.MaxInt32)
}
