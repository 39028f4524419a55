//go:build real

package e2e

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger is what one library tells of its load, one event a line:
//
//	acked VALUE MICROSECONDS      a record was acknowledged, so long after send
//	read VALUE PARTITION OFFSET   a record was consumed
//	committed                     offsets were committed
//	disconnect TEXT               a connection ended
//	rebalance TEXT                partitions were taken away
//	info TEXT                     the library says that the user need not care
//	error TEXT                    the user would see this
//	flushed                       the producer has an outcome for every record
//
// It is a Writer, for a client's standard output. Safe for concurrent use.
type ledger struct {
	name string
	t    *testing.T

	mu          sync.Mutex
	rest        string // an incomplete line
	phase       string // what latencies are those of now
	acked       map[string]bool
	places      map[string]map[string]bool // value → where in the log it was read
	reads       int
	commits     int
	disconnects int
	rebalances  []string
	info        map[string]int
	errors      []string
	latency     map[string][]time.Duration // by phase
	flushed     bool
}

// numbers are left out of informational texts, so that equal ones can be counted.
var numbers = regexp.MustCompile(`\d[\d.:|]*`)

func newLedger(t *testing.T, name string) *ledger {
	return &ledger{
		name: name, t: t, acked: map[string]bool{}, places: map[string]map[string]bool{}, info: map[string]int{},
		latency: map[string][]time.Duration{},
	}
}

func (l *ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(p)
	for {
		line, rest, whole := strings.Cut(l.rest, "\n")
		if !whole {
			return len(p), nil
		}
		l.rest = rest
		l.event(line)
	}
}

// tell is an event of which the client's standard output says nothing.
func (l *ledger) tell(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

func (l *ledger) event(line string) {
	kind, text, _ := strings.Cut(line, " ")
	switch kind {
	case "acked":
		value, micros, _ := strings.Cut(text, " ")
		n, err := strconv.ParseInt(micros, 10, 64)
		if err != nil {
			l.failed("not understood: " + line)
			return
		}
		l.acked[value] = true
		l.latency[l.phase] = append(l.latency[l.phase], time.Duration(n)*time.Microsecond)
	case "read":
		value, place, _ := strings.Cut(text, " ")
		if l.places[value] == nil {
			l.places[value] = map[string]bool{}
		}
		l.places[value][place] = true
		l.reads++
	case "committed":
		l.commits++
	case "disconnect":
		l.disconnects++
	case "rebalance":
		l.rebalances = append(l.rebalances, text)
	case "info":
		l.info[numbers.ReplaceAllString(text, "#")]++
	case "flushed":
		l.flushed = true
	case "error":
		l.failed(text)
	default: // what a runtime prints on standard error
		l.failed("not understood: " + line)
	}
}

func (l *ledger) failed(text string) {
	l.errors = append(l.errors, time.Now().Format("15:04:05.000 ")+text)
}

// enter begins a phase of its own in what is measured.
func (l *ledger) enter(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
}

// measured is how many acknowledgements the phase has seen.
func (l *ledger) measured(phase string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.latency[phase])
}

// running says that the load has reached its pace.
func (l *ledger) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads > 200 && l.commits > 0 || len(l.errors) > 0
}

// complete says that every acknowledged record was read.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flushed && len(l.missing()) == 0
}

func (l *ledger) missing() []string {
	var values []string
	for value := range l.acked {
		if l.places[value] == nil {
			values = append(values, value)
		}
	}
	return values
}

// close checks I1, I2 and I7 (operations.md A.3) and prints the outcome.
func (l *ledger) close(w io.Writer) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	twice := 0
	for value, places := range l.places {
		if len(places) > 1 {
			twice++
			l.t.Errorf("%s: record %s is in the log %d times", l.name, value, len(places))
		}
	}
	if missing := l.missing(); len(missing) > 0 {
		l.t.Errorf("%s: %d acknowledged records were never read: %.10q", l.name, len(missing), missing)
	}
	for _, text := range l.errors {
		l.t.Errorf("%s: %s", l.name, text)
	}
	_, _ = fmt.Fprintf(w, "%-10s %6d acked %6d read %4d again %2d twice in the log %5d commits %2d errors %3d disconnects\n", l.name,
		len(l.acked), l.reads, l.reads-len(l.places), twice, l.commits, len(l.errors), l.disconnects)
	for _, phase := range []string{calm, rolling, throttled} {
		if len(l.latency[phase]) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(w, "  %s, produce while %s: %s\n", l.name, phase, percentiles(l.latency[phase]))
	}
	for text, n := range l.info {
		_, _ = fmt.Fprintf(w, "  %s, informational, %d times: %s\n", l.name, n, text)
	}
}
