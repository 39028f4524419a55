package quota

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestThrottleAlarms(t *testing.T) {
	for _, c := range []struct {
		name  string
		waits map[int]time.Duration // by minute
		want  string                // A: it begins, E: it ends, by minute
	}{
		{"nothing", nil, "........."},
		{"a little", map[int]time.Duration{0: 3 * time.Second}, "........."},
		{"once", map[int]time.Duration{1: 4 * time.Second}, "..A....E."},
		{"bit by bit", map[int]time.Duration{0: time.Second, 1: time.Second, 2: time.Second, 3: time.Second}, "....A....E"},
		{"too slowly", map[int]time.Duration{0: 2 * time.Second, 6: 2 * time.Second}, "........."},
		{"on and on", map[int]time.Duration{0: 4 * time.Second, 3: 4 * time.Second, 6: 4 * time.Second}, ".A......."},
	} {
		l := throttleGateway(t, nil, nil)
		var got strings.Builder
		for minute := range len(c.want) {
			at := throttleStart().Add(time.Duration(minute) * time.Minute)
			letter := "."
			for _, a := range l.throttles.alarms(at) {
				letter = map[bool]string{true: "A", false: "E"}[a.waited > 0]
			}
			got.WriteString(letter)
			if wait := c.waits[minute]; wait > 0 {
				l.tell(keyFor("a", ""), at, wait)
				l.tell(keyFor("b", ""), at, wait) // at the same time
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.String(), c.want)
		}
	}
}

// An alarm keeps its instance in memory until its end is told.
func TestThrottleAlarmsEnd(t *testing.T) {
	var out bytes.Buffer
	l := throttleGateway(t, nil, nil)
	l.throttles.written = true
	start := throttleStart().Add(58 * time.Minute)
	l.tell(keyFor("a", ""), start, 5*time.Second)
	for minute := range 10 {
		now := start.Add(time.Duration(minute) * time.Minute)
		for _, a := range l.throttles.alarms(now) {
			a.log(slog.New(slog.NewTextHandler(&out, nil)))
		}
		l.throttles.take("")
		l.throttles.forget(now)
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=WARN msg="instance is throttled" instance=orders limit=produce_bytes_per_second waited=5s of=5m0s fix=`) ||
		!strings.Contains(got, "any more") {
		t.Error(got)
	}
	if len(l.throttles.logs) != 0 {
		t.Error("it is in memory for good")
	}
}
