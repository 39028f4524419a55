package proxy

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

const (
	// closedLogEvery is over how long ends that are alike make one line and a count.
	closedLogEvery = time.Minute
	// closedLogLines is how many different ones have lines of their own in that time.
	closedLogLines = 100
)

// closedLog bounds what clients make us log: of each reason and address the first
// end has a line, and the others of that minute one together; beyond closedLogLines
// there is only a count for each reason. Any goroutine.
type closedLog struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time            // when this minute began
	more  map[closedLogKey]int // that had a line, and how many followed it
	rest  map[string]int       // by reason: of the addresses that had none
}

type closedLogKey struct {
	reason string
	addr   netip.Addr
}

func newClosedLog(log *slog.Logger) *closedLog {
	return &closedLog{log: log, more: make(map[closedLogKey]int), rest: make(map[string]int)}
}

// first reports whether this end has a line of its own.
func (l *closedLog) first(reason string, addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = now
	}
	key := closedLogKey{reason, network(addr)}
	if _, ok := l.more[key]; ok {
		l.more[key]++
		return false
	}
	if len(l.more) >= closedLogLines {
		l.rest[reason]++
		return false
	}
	l.more[key] = 0
	return true
}

// tidy logs the counts of a minute that is over.
func (l *closedLog) tidy(now time.Time) {
	l.mu.Lock()
	if l.since.IsZero() || now.Sub(l.since) < closedLogEvery {
		l.mu.Unlock()
		return
	}
	since, more, rest := l.since, l.more, l.rest
	l.since, l.more, l.rest = time.Time{}, make(map[closedLogKey]int), make(map[string]int)
	l.mu.Unlock()
	within := now.Sub(since).Round(time.Second)
	for key, n := range more {
		if n > 0 {
			l.log.Warn("more connections closed", "addr", key.addr.String(), "reason", key.reason, "count", n, "within", within)
		}
	}
	for reason, n := range rest {
		l.log.Warn("more connections closed", "addr", "others", "reason", reason, "count", n, "within", within)
	}
}
