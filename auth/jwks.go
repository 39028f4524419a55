package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weir/tenancy"
)

const (
	// DefaultKeyAge is for how long a key set is believed without being asked for
	// again: a key that its issuer takes back is dead at the latest then.
	DefaultKeyAge = 5 * time.Minute
	// keyHead is how much earlier it is asked for, so that it is there in time.
	keyHead = 30 * time.Second
	// keyPause is how long no issuer is asked again, whatever anybody sends (S03).
	keyPause = 30 * time.Second
	// keyPatience is how long a login waits for keys.
	keyPatience = 2 * time.Second
	// maxStale is how old keys may become while their issuer does not answer.
	maxStale = 24 * time.Hour
	// maxSources bounds the table of issuers; what was not wanted for longest goes.
	maxSources = 4096
	// maxFetches is how many issuers are asked at once, and entryFetches how many of
	// one entry of the operator's list: one that answers nobody, with a dozen issuers of
	// tenants below it, must not keep the keys of the others from being fetched.
	maxFetches   = 16
	entryFetches = 4
)

// sourceID is from where keys come: of all instances that say the same.
type sourceID struct{ issuer, jwks string }

// keyring holds the keys of all issuers. It asks only issuers that an instance has
// and that the operator allows: nothing in a token leads anywhere. Any goroutine.
type keyring struct {
	allowed []AllowedIssuer // immutable, as all above mu
	get     func(ctx context.Context, a AllowedIssuer, from string) ([]byte, error)
	now     func() time.Time
	age     time.Duration
	log     *slog.Logger
	slots   chan struct{}            // holds a token per fetch
	shares  map[string]chan struct{} // the same of each entry, by URL
	nobody  phantoms

	mu       sync.Mutex
	sources  map[sourceID]*source
	byIssuer map[string]*source // one of those of that issuer
}

func newKeyring(list []AllowedIssuer, age time.Duration, now func() time.Time, log *slog.Logger) *keyring {
	if age <= 0 {
		age = DefaultKeyAge
	}
	shares := make(map[string]chan struct{}, len(list))
	for _, a := range list {
		shares[a.URL] = make(chan struct{}, entryFetches)
	}
	return &keyring{
		allowed: list, get: realWire().get, now: now, age: age, log: log,
		slots: make(chan struct{}, maxFetches), shares: shares,
		nobody:  newPhantoms(),
		sources: make(map[sourceID]*source), byIssuer: make(map[string]*source),
	}
}

// source is where an instance's issuer has its keys; the error wraps ErrIssuerNotAllowed.
func (r *keyring) source(i tenancy.Issuer) (*source, error) {
	id := sourceID{i.URL, i.JWKSURL}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.sources[id]; ok {
		return s, nil
	}
	entry, err := allowed(r.allowed, i.URL, i.JWKSURL)
	if err != nil {
		return nil, err
	}
	if len(r.sources) >= maxSources {
		r.forgetOldest()
	}
	s := &source{id: id, ring: r, allowed: entry}
	s.wanted.Store(r.now().UnixNano())
	r.sources[id] = s
	if r.byIssuer[id.issuer] == nil {
		r.byIssuer[id.issuer] = s
	}
	return s, nil
}

// forgetOldest drops the source that was not wanted for longest; sessions want
// theirs every few seconds. mu is held.
func (r *keyring) forgetOldest() {
	var oldest *source
	for _, s := range r.sources {
		if oldest == nil || s.wanted.Load() < oldest.wanted.Load() {
			oldest = s
		}
	}
	delete(r.sources, oldest.id)
	if r.byIssuer[oldest.id.issuer] == oldest {
		delete(r.byIssuer, oldest.id.issuer)
	}
}

// anyOf is a source of an issuer that some instance has, nil if none does. It is
// for tokens that cannot be right: they cost what they would at that instance.
func (r *keyring) anyOf(issuer string) *source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byIssuer[issuer]
}

// Prepare fetches the keys of an instance's issuers ahead, so that its first
// client need not wait. It does not block; any goroutine. For tenancy.Directory.Watch.
func (a *Authenticator) Prepare(view *tenancy.View) {
	if a.keys == nil || view.Instance.State != tenancy.StateActive {
		return
	}
	for _, i := range view.Access.Issuers {
		if s, err := a.keys.source(i); err == nil {
			s.touch()
		}
	}
}

// KeyState is what a gateway knows of an issuer's keys.
type KeyState struct {
	IDs       []string  // kid, in order
	FetchedAt time.Time // zero: never
	// Error is why the newest fetch failed, or what is wrong with the keys; nil: nothing.
	Error error
}

// AllowIssuer says why an issuer cannot be used; the error wraps ErrIssuerNotAllowed.
func (a *Authenticator) AllowIssuer(i tenancy.Issuer) error {
	if a.keys == nil {
		_, err := allowed(nil, i.URL, i.JWKSURL)
		return err
	}
	_, err := allowed(a.keys.allowed, i.URL, i.JWKSURL)
	return err
}

// IssuerKeys is the state of the keys of an instance's issuer. If there are none
// yet, they are fetched, for up to 2 s.
func (a *Authenticator) IssuerKeys(i tenancy.Issuer) KeyState {
	if err := a.AllowIssuer(i); err != nil {
		return KeyState{Error: err}
	}
	s, err := a.keys.source(i)
	if err != nil {
		return KeyState{Error: err}
	}
	set := s.fresh()
	state := KeyState{Error: s.failure()}
	if set != nil {
		state.IDs, state.FetchedAt = set.ids(), set.fetched
	}
	return state
}
