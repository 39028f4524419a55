package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/admin/api"
	"weir/tenancy"
	"weir/upstream"
)

// Pool is what the management face asks of a pool; *upstream.Pool provides it.
type Pool interface {
	FirstTopic(ctx context.Context, prefixes ...string) (string, error)
	TopicsExist(ctx context.Context, names ...string) (map[string]bool, error)
	Coordinated(ctx context.Context, prefix string) (upstream.Coordinated, error)
}

// poolWait bounds what a pool is asked before an answer: a healthy one needs some
// milliseconds for each ten thousand groups that it has.
const poolWait = time.Second

// idFree begins to look whether the pool holds anything that would become the
// instance's because of its id (protocol.md 7); the function returned waits for
// the outcome. Meanwhile a user's keys can be derived, which takes longer.
//
// A generated id is not looked for: nobody's names begin with its 40 random bits.
// If the pool does not answer, an operator's instance is made all the same, with a
// warning; anybody else might by that get at the data of whom the name is.
func (s *server) idFree(ctx context.Context, want tenancy.Instance) (wait func() error) {
	if want.ID == "" {
		return func() error { return nil }
	}
	ctx, cancel := context.WithTimeout(ctx, poolWait)
	outcome := make(chan error, 1)
	go func() {
		defer cancel()
		found, err := holding(ctx, s.cfg.Pools[want.Pool], want.ID)
		outcome <- s.judgeID(ctx, want, found, err)
	}()
	return func() error { return <-outcome }
}

// judgeID makes a problem of what was found, or not found out.
func (s *server) judgeID(ctx context.Context, want tenancy.Instance, found string, err error) error {
	c := callerOf(ctx)
	switch {
	case err != nil && !c.rights.everyTenant:
		s.cfg.Log.Error("admin could not look for names under a new id", "request", c.id, "instance", string(want.ID), "err", err)
		p := problem(codePool, "The pool does not answer, so nobody can say whether the id %s is free in it.", want.ID)
		p.Try = "leave the id out: one is generated"
		return p
	case err != nil:
		s.cfg.Log.Warn("admin instance is made without a look at the pool", "request", c.id, "instance", string(want.ID), "err", err)
		return nil
	case found == "":
		return nil
	}
	if _, err := s.cfg.Store.Instance(context.WithoutCancel(ctx), want.ID); err == nil {
		return nil // they are that instance's, and the store will say that the id is taken
	}
	return s.idHeld(ctx, want.ID, found)
}

// idHeld says that an id cannot be used because of what the pool holds. Only an
// operator is told what that is.
func (s *server) idHeld(ctx context.Context, id tenancy.InstanceID, found string) error {
	p := problem(codePoolHolds, "The pool holds names that begin with %s; choose another id.", id)
	if found != "" && callerOf(ctx).rights.everyTenant {
		p.Detail = fmt.Sprintf("The pool holds %s, which an instance %s would take for its own or collide with; choose another id, and import it by an alias.", found, id)
		p.Try = "weir alias add --help"
	}
	p.Errors = []api.FieldError{{Location: "body.id", Message: "held in the pool"}}
	return p
}

// holding names one thing that a pool holds and that is in the way of an id: a
// topic, group or transactional id under its prefix, or a topic that Kafka takes
// for one under it, since it does not tell '.' from '_'.
func holding(ctx context.Context, pool Pool, id tenancy.InstanceID) (string, error) {
	if pool == nil {
		return "", errors.New("no such pool")
	}
	var topic, coordinated string
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		name, err := pool.FirstTopic(ctx, string(id)+".", string(id)+"_")
		if name != "" {
			topic = fmt.Sprintf("the topic %q", name)
		}
		return err
	})
	g.Go(func() error {
		got, err := pool.Coordinated(ctx, string(id)+".")
		switch {
		case len(got.Groups) > 0:
			coordinated = fmt.Sprintf("the group %.80q", got.Groups[0])
		case len(got.Txns) > 0:
			coordinated = fmt.Sprintf("the transactional id %.80q", got.Txns[0])
		}
		return err
	})
	err := g.Wait()
	if topic != "" {
		return topic, nil
	}
	if coordinated != "" {
		return coordinated, nil
	}
	return "", err
}

// importable says what keeps aliases from being made as far as the pool tells:
// the topics must be there, and what the instance has under its prefix must not be
// hidden behind an alias. Groups and transactional ids need not be there yet.
func (s *server) importable(ctx context.Context, in tenancy.Instance, aliases []tenancy.Alias) error {
	ctx, cancel := context.WithTimeout(ctx, poolWait)
	defer cancel()
	pool, space := s.cfg.Pools[in.Pool], tenancy.NewNamespace(in.ID)
	if pool == nil {
		return problem(codePool, "This gateway knows no pool %s.", in.Pool)
	}
	var topics []string
	coordinated := false
	for _, a := range aliases {
		if a.Kind == tenancy.KindTopic {
			topics = append(topics, a.Physical, space.Physical(a.Kind, a.Virtual))
		} else {
			coordinated = true
		}
	}
	exist, err := pool.TopicsExist(ctx, topics...)
	var has upstream.Coordinated
	if err == nil && coordinated {
		has, err = pool.Coordinated(ctx, space.Prefix())
	}
	if err != nil {
		s.cfg.Log.Error("admin could not look for the names of aliases", "request", callerOf(ctx).id, "instance", string(in.ID), "err", err)
		return problem(codePool, "The pool %s does not answer.", in.Pool)
	}
	for i, a := range aliases {
		own := space.Physical(a.Kind, a.Virtual)
		hidden := a.Kind == tenancy.KindTopic && exist[own] ||
			a.Kind == tenancy.KindGroup && slices.Contains(has.Groups, own) ||
			a.Kind == tenancy.KindTxn && slices.Contains(has.Txns, own)
		var p *api.Problem
		switch {
		case a.Kind == tenancy.KindTopic && !exist[a.Physical]:
			p = problem(codeAliasMissing, "The pool has no topic %q.", a.Physical)
			p.Errors = []api.FieldError{{Location: fmt.Sprintf("body.aliases[%d].physical", i), Message: "not in the pool"}}
		case hidden:
			p = problem(codeAliasAmbiguous, "Instance %s has a %s %.80q of its own; delete it or choose another name.", in.Name, a.Kind, a.Virtual)
			p.Errors = []api.FieldError{{Location: fmt.Sprintf("body.aliases[%d].name", i), Message: "in use"}}
		default:
			continue
		}
		return p
	}
	return nil
}
