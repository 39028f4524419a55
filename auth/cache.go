package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxVerdicts bounds the cache, in entries of some 200 bytes.
	maxVerdicts = 10_000
	// verdictTTL is Neon's figure for the same cache. It bounds how long a
	// trace of a password stays in memory, not how stale a verdict may be: a
	// verdict is about a password and a credential and never becomes untrue.
	verdictTTL = time.Minute
	// patience is how long a login waits for a derivation slot: well within the
	// 10 s that a handshake may take in all.
	patience = 3 * time.Second
)

// fingerprint stands for one (credential, password): HMAC under a key that is
// this process's and random, so that it says nothing about the password to who
// reads memory without the key, and cannot be computed ahead.
type fingerprint [sha256.Size]byte

// verdictOf says which of two credentials a right password is of, and until when
// that is remembered.
type verdictOf struct {
	which  int
	expiry time.Time
}

// verifier checks passwords against SCRAM credentials. The derivation takes
// milliseconds, so it runs in bounded slots, once for all who ask at the same
// time, and a right password is remembered for a while. Wrong ones never are.
// Any goroutine.
type verifier struct {
	key   []byte           // immutable
	now   func() time.Time // immutable
	slots *slots
	calls singleflight.Group // by fingerprint

	derive func(mechanism, password string, salt []byte, iter int) (stored, server []byte, err error) // immutable

	mu    sync.Mutex
	right *lru[fingerprint, verdictOf] // in order of expiry, since never touched
}

func newVerifier(now func() time.Time) *verifier {
	return &verifier{
		key:    randomKey(),
		now:    now,
		slots:  newSlots(runtime.GOMAXPROCS(0), patience),
		derive: deriveKeys,
		right:  newLRU[fingerprint, verdictOf](maxVerdicts),
	}
}

// verify returns of which of the claim's two credentials the password is. One
// derivation serves both, and both are compared. It waits for a slot of the claim's
// instance, asks admit once it has one, since much may have failed while it waited,
// and says why if nothing was right.
func (v *verifier) verify(c claim, password string, admit func() Reason) (which int, why Reason) {
	fp := v.fingerprint(c, password)
	if which, ok := v.known(fp); ok {
		return which, ""
	}
	release, ok := v.slots.acquire(c.instance)
	if !ok {
		return 0, ReasonBusy
	}
	defer release()
	if why := admit(); why != "" {
		return 0, why
	}
	// The group holds a fingerprint while it runs, not a password.
	verdict, err, _ := v.calls.Do(string(fp[:]), func() (any, error) {
		if which, ok := v.known(fp); ok { // found right while we waited
			return which, nil
		}
		which, err := v.compare(c, password)
		if err == nil && c.refusal == "" && !ended(c.creds[which].ExpiresAt, v.now()) {
			v.remember(fp, which)
		}
		return which, err
	})
	which, ok = verdict.(int)
	if err != nil || !ok {
		return 0, ReasonPasswordWrong
	}
	return which, ""
}

// errWrong is of a password that is none of a claim's.
var errWrong = errors.New("wrong password")

// compare derives the password's keys and finds the credential that has them.
func (v *verifier) compare(c claim, password string) (which int, err error) {
	newest := &c.creds[0]
	stored, _, err := v.derive(newest.Mechanism, password, newest.Salt, newest.Iterations)
	if err != nil {
		return 0, err
	}
	first := subtle.ConstantTimeCompare(stored, newest.StoredKey)
	second := subtle.ConstantTimeCompare(stored, c.creds[1].StoredKey)
	if first|second == 0 {
		return 0, errWrong
	}
	return 1 - first, nil
}

// fingerprint covers the credentials themselves and not their version, because a user
// that was deleted and made again may have the same version with another password.
// That of who may not log in is another one, and never remembered: from a wrong
// network a right password costs what a wrong one does, also where its owner has
// just logged in, and cannot be told by trying it twice. So is that of a password
// that has ended.
func (v *verifier) fingerprint(c claim, password string) fingerprint {
	cred := &c.creds[0]
	return fingerprint(keyed(sha256.New, v.key, joined(string(c.instance), cred.Mechanism,
		string(cred.Salt), string(cred.StoredKey), string(c.creds[1].StoredKey), strconv.Itoa(cred.Iterations),
		strconv.FormatBool(c.refusal == ""), strconv.FormatBool(ended(c.creds[1].ExpiresAt, v.now())), password)))
}

func (v *verifier) known(fp fingerprint) (which int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	verdict, ok := v.right.peek(fp)
	return verdict.which, ok && v.now().Before(verdict.expiry)
}

func (v *verifier) remember(fp fingerprint, which int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for {
		verdict, ok := v.right.oldest()
		if !ok || now.Before(verdict.expiry) {
			break
		}
		v.right.removeOldest()
	}
	v.right.put(fp, verdictOf{which, now.Add(verdictTTL)})
}
