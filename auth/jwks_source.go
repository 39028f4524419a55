package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// source is one issuer's keys. They are replaced whole (CVE-2025-22149), by one
// fetch at a time, at most one in keyPause. Any goroutine.
type source struct {
	id      sourceID
	ring    *keyring
	allowed AllowedIssuer

	set    atomic.Pointer[keySet] // nil: never fetched
	wanted atomic.Int64           // unix nanoseconds
	next   atomic.Int64           // unix nanoseconds before which it is not asked again

	mu      sync.Mutex
	running chan struct{} // closed when the fetch under way is over; nil: none is
	err     error         // of the newest fetch
}

// current are the keys that count, nil if there are none or they are too old. It
// takes no lock.
func (s *source) current() *keySet {
	set := s.set.Load()
	if set == nil || s.ring.now().Sub(set.fetched) > maxStale {
		return nil
	}
	return set
}

// touch notes that somebody needs the keys and has them fetched in time. It does
// not block, and takes no lock but once in keyPause.
func (s *source) touch() {
	now := s.ring.now()
	s.wanted.Store(now.UnixNano())
	set := s.set.Load()
	if (set == nil || now.Sub(set.fetched) >= s.ring.age-min(keyHead, s.ring.age/2)) && now.UnixNano() >= s.next.Load() {
		s.fetch()
	}
}

// fresh are the keys, fetched anew if they may be too old; for that it waits up to
// keyPatience. nil: none are known.
func (s *source) fresh() *keySet {
	s.touch()
	if set := s.set.Load(); set == nil || s.ring.now().Sub(set.fetched) >= s.ring.age {
		over, _ := s.fetch()
		s.await(over)
	}
	return s.current()
}

// key is the one that a token's header speaks of, "" as why if there is one. For
// an id that is not known the issuer is asked once more.
func (s *source) key(kid string, named bool, alg string) (*tokenKey, Reason) {
	set := s.fresh()
	if set == nil {
		return nil, ReasonKeysUnavailable
	}
	if k := set.find(kid, named, alg); k != nil {
		return k, ""
	}
	over, ours := s.fetch()
	if !s.await(over) {
		return nil, ReasonKeyPending
	}
	if set = s.current(); set == nil {
		return nil, ReasonKeysUnavailable
	}
	if k := set.find(kid, named, alg); k != nil {
		return k, ""
	}
	if !ours { // it may have begun before the key was published
		return nil, ReasonKeyPending
	}
	return nil, ReasonKeyUnknown
}

// failure is why the newest fetch failed, or what is wrong with what it found.
func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.set.Load(); s.err == nil && set != nil && set.note != "" {
		return errors.New(set.note)
	}
	return s.err
}

// fetch begins a fetch in the background and returns what is closed when it is
// over, and whether it began now; that of one that is under way; and nil if it is too
// early for another.
func (s *source) fetch() (over <-chan struct{}, ours bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return s.running, false
	}
	now := s.ring.now()
	if now.UnixNano() < s.next.Load() {
		return nil, false
	}
	s.next.Store(now.Add(keyPause).UnixNano())
	s.running = make(chan struct{})
	go s.run()
	return s.running, true
}

// await waits for a fetch, up to keyPatience; false if there was none or it takes longer.
func (s *source) await(over <-chan struct{}) bool {
	if over == nil {
		return false
	}
	timeout := time.NewTimer(keyPatience)
	defer timeout.Stop()
	select {
	case <-over:
		return true
	case <-timeout.C:
		return false
	}
}

// run is one fetch.
func (s *source) run() {
	for _, slots := range []chan struct{}{s.ring.shares[s.allowed.URL], s.ring.slots} {
		slots <- struct{}{}
		defer func() { <-slots }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	began := s.ring.now() // what is taken back while we read must not live longer for it
	set, err := s.read(ctx, began)
	if err != nil {
		s.ring.log.Warn("keys of an issuer cannot be fetched", "issuer", s.id.issuer, "err", err,
			"fix", "see that the gateway reaches it and that its keys are right (weir issuer list INSTANCE); the last keys count for 24h")
	} else {
		s.set.Store(set)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	close(s.running)
	s.running = nil
}

// read fetches the keys from where the issuer says that they are.
func (s *source) read(ctx context.Context, began time.Time) (*keySet, error) {
	at := s.id.jwks
	if at == "" {
		var err error
		if at, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	document, err := s.ring.get(ctx, s.allowed, at)
	if err != nil {
		return nil, err
	}
	set, err := parseKeys(document, began)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return set, nil
}

// discover is OpenID Connect Discovery 1.0, section 4: the document must be of this
// issuer (4.3), and its keys where the operator allows them.
func (s *source) discover(ctx context.Context) (string, error) {
	at := strings.TrimSuffix(s.id.issuer, "/") + "/.well-known/openid-configuration"
	document, err := s.ring.get(ctx, s.allowed, at)
	if err != nil {
		return "", err
	}
	var found struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	switch err := json.Unmarshal(document, &found); {
	case err != nil:
		return "", fmt.Errorf("%s is not a JSON object", at)
	case found.Issuer != s.id.issuer:
		return "", fmt.Errorf("%s is of issuer %.200q", at, found.Issuer)
	case found.JWKSURI == "":
		return "", fmt.Errorf("%s has no jwks_uri", at)
	}
	if !s.allowed.coversKeys(s.id.issuer, found.JWKSURI) {
		return "", fmt.Errorf("%s: jwks_uri %.200q: %w", at, found.JWKSURI, ErrIssuerNotAllowed)
	}
	return found.JWKSURI, nil
}
