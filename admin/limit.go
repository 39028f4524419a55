package admin

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// requestsPerSecond and requestBurst of one token (operations.md S27).
	requestsPerSecond = 20
	requestBurst      = 40
	// maxLimited is how many tokens are remembered before the idle ones are forgotten.
	maxLimited = 4096
)

// limiter holds every token to requestsPerSecond on this gateway. Only valid
// tokens get here, so that nobody can fill it with invented ones. Any goroutine.
type limiter struct {
	now func() time.Time

	mu     sync.Mutex
	tokens map[string]*rate.Limiter // by jti
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, tokens: map[string]*rate.Limiter{}}
}

// allow spends one request of the token.
func (l *limiter) allow(jti string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tokens[jti]
	if t == nil {
		if len(l.tokens) >= maxLimited {
			l.forgetIdle(now)
		}
		t = rate.NewLimiter(requestsPerSecond, requestBurst)
		l.tokens[jti] = t
	}
	return t.AllowN(now, 1)
}

// forgetIdle drops the tokens whose bucket is full again: a new bucket is the same.
func (l *limiter) forgetIdle(now time.Time) {
	for jti, t := range l.tokens {
		if t.TokensAt(now) >= requestBurst {
			delete(l.tokens, jti)
		}
	}
}
