package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"weir/admin/api"
)

const (
	networkRefused = "network-refused" // reason and code alike

	// feedPatience is how long a refusal may take until it is in the feed: gateways
	// gather them for a second.
	feedPatience = 4 * time.Second
	feedEvery    = 200 * time.Millisecond
	// feedSpan is how old an event may be that stands for our own: of one that goes on
	// there is a new one each minute at least.
	feedSpan = 70 * time.Second
)

// refusalFeed finds out why a gateway has closed our connection. It tells new events
// from old ones by their ids, so that no two clocks are compared.
type refusalFeed struct {
	client *client
	places []ofInstance // to look at; the zero one: what named none
	seen   map[ofInstance]string
}

// newRefusalFeed is nil if there is no token at hand, or it may not read events.
func newRefusalFeed(ctx context.Context, e *env, instance ofInstance) *refusalFeed {
	cl, err := e.client()
	if err != nil {
		return nil
	}
	f := &refusalFeed{client: cl, seen: map[ofInstance]string{}}
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	for _, place := range []ofInstance{instance, {}} {
		found, err := f.newest(ctx, place)
		if _, known := f.seen[place]; err != nil || known {
			continue
		}
		f.places = append(f.places, place)
		f.seen[place] = ""
		if len(found) > 0 {
			f.seen[place] = found[0].ID
		}
	}
	if len(f.places) == 0 {
		return nil
	}
	return f
}

func (f *refusalFeed) newest(ctx context.Context, place ofInstance) ([]api.Refusal, error) {
	return f.client.refusals(ctx, place, feedSpan, 20)
}

// why waits for the refusal of the user's newest connection. If there is nothing new,
// the newest of that user is taken. ok is false if there is none either.
func (f *refusalFeed) why(ctx context.Context, user string) (last api.Refusal, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	name, _, _ := strings.Cut(user, "@")
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	for {
		for _, place := range f.places {
			found, err := f.newest(ctx, place)
			if err != nil {
				continue
			}
			for _, r := range found {
				switch {
				case newer(r.ID, f.seen[place]) && (r.User == "" || r.User == name):
					return r, true
				case !ok && r.User == name:
					last, ok = r, true
				}
			}
		}
		select {
		case <-ctx.Done():
			return last, ok
		case <-tick.C:
		}
	}
}

// cut is why a gateway has ended our connection: what it keeps of that, or without a
// token the usual reasons.
func (w *walk) cut(ctx context.Context, code, message, usual string) error {
	f := &failure{code: code, exit: exitNotAllowed, message: message}
	if w.feed != nil {
		if r, ok := w.feed.why(context.WithoutCancel(ctx), w.conn.Username); ok {
			return w.refused(ctx, r)
		}
		f.message += "; usually " + usual
		f.try = []string{strings.TrimSpace("weir connection refused " + w.instance.typed())}
		return f
	}
	instance := w.instance.typed()
	if instance == "" {
		instance = "INSTANCE"
	}
	f.message += "; usually " + usual
	f.try = []string{"weir connection refused " + instance + " --token-file FILE      or ask who runs the instance to do it"}
	return f
}

// refused tells what the gateway says.
func (w *walk) refused(ctx context.Context, r api.Refusal) error {
	f := &failure{code: r.Reason, exit: exitNotAllowed, message: r.Reason}
	w.inside = r.User != "" // of who comes from elsewhere, the network is the reason
	if r.Text != "" {
		f.message = r.Text + ": " + r.Fix
	}
	if r.Try != "" {
		f.try = []string{r.Try}
	}
	if r.Reason == networkRefused {
		if only := w.allowed(ctx, ofInstance{r.Instance, instanceTenant{r.Tenant}}); only != "" {
			f.message = only
		}
		if r.Try != "" {
			f.try = []string{r.Try + "      (needs networks:write)"}
		}
		if r.Address != "" {
			w.local = r.Address // as the gateway sees it
		}
	}
	return f
}

// allowed says which networks an instance has; "" if we may not know.
func (w *walk) allowed(ctx context.Context, instance ofInstance) string {
	var all api.Networks
	if instance.Instance == "" || w.feed.client.call(context.WithoutCancel(ctx), http.MethodGet, instance.path("/networks"), nil, &all) != nil {
		return ""
	}
	const most = 3
	var names []string
	for _, n := range all.Allow[:min(most, len(all.Allow))] {
		names = append(names, n.String())
	}
	switch more := len(all.Allow) - most; {
	case len(names) == 0:
		return w.instance.Instance + " allows nobody: by its plan it needs networks"
	case more > 0:
		return fmt.Sprintf("%s allows %s and %d more", w.instance.Instance, strings.Join(names, ", "), more)
	case len(names) > 1:
		last := len(names) - 1
		return w.instance.Instance + " allows " + strings.Join(names[:last], ", ") + " and " + names[last] + " only"
	}
	return w.instance.Instance + " allows " + names[0] + " only"
}
