package auth

import (
	"crypto/sha256"
	"crypto/subtle"
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
	right *lru[fingerprint, time.Time] // expiry; in order of it, since never touched
}

func newVerifier(now func() time.Time) *verifier {
	return &verifier{
		key:    randomKey(),
		now:    now,
		slots:  newSlots(runtime.GOMAXPROCS(0), patience),
		derive: deriveKeys,
		right:  newLRU[fingerprint, time.Time](maxVerdicts),
	}
}

// verify reports whether password is the one that the claim's credential was
// made from. It waits for a slot of the claim's instance, asks admit once it
// has one, since much may have failed while it waited, and says why if nothing
// was right.
func (v *verifier) verify(c claim, password string, admit func() Reason) (right bool, why Reason) {
	fp := v.fingerprint(c, password)
	if v.known(fp) {
		return true, ""
	}
	release, ok := v.slots.acquire(c.instance)
	if !ok {
		return false, ReasonBusy
	}
	defer release()
	if why := admit(); why != "" {
		return false, why
	}
	// The group holds a fingerprint while it runs, not a password.
	verdict, err, _ := v.calls.Do(string(fp[:]), func() (any, error) {
		if v.known(fp) { // found right while we waited
			return true, nil
		}
		stored, _, err := v.derive(c.cred.Mechanism, password, c.cred.Salt, c.cred.Iterations)
		if err != nil || subtle.ConstantTimeCompare(stored, c.cred.StoredKey) != 1 {
			return false, err
		}
		if c.refusal == "" {
			v.remember(fp)
		}
		return true, nil
	})
	if right, _ = verdict.(bool); err != nil || !right {
		return false, ReasonPasswordWrong
	}
	return true, ""
}

// fingerprint covers the credential itself and not its version, because a user
// that was deleted and made again may have the same version with another password.
// That of who may not log in is another one, and never remembered: from a wrong
// network a right password costs what a wrong one does, also where its owner has
// just logged in, and cannot be told by trying it twice.
func (v *verifier) fingerprint(c claim, password string) fingerprint {
	cred := c.cred
	return fingerprint(keyed(sha256.New, v.key, joined(string(c.instance), cred.Mechanism,
		string(cred.Salt), string(cred.StoredKey), strconv.Itoa(cred.Iterations), strconv.FormatBool(c.refusal == ""), password)))
}

func (v *verifier) known(fp fingerprint) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	expiry, ok := v.right.peek(fp)
	return ok && v.now().Before(expiry)
}

func (v *verifier) remember(fp fingerprint) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for {
		expiry, ok := v.right.oldest()
		if !ok || now.Before(expiry) {
			break
		}
		v.right.removeOldest()
	}
	v.right.put(fp, now.Add(verdictTTL))
}
