package metering

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

// testLogs is one instance whose records are appended and metered as a test says.
type testLogs struct {
	*testSeal
	*Reconciler
	logs  Logs
	count Count
	waits int
	wait  func(n int) // called in the n-th wait of a comparison
}

func newTestLogs(t *testing.T) *testLogs {
	l := &testLogs{testSeal: newTestSeal(t), count: testCount("a", 0, 0)}
	l.to(testHour.Begin().Add(21 * time.Minute))
	l.logs.Topics = []LogEnd{{ID: [16]byte{1}, Name: "orders.t", Known: true}, {ID: [16]byte{2}, Name: "orders.u", Known: true}}
	l.Reconciler = NewReconciler(ReconcilerConfig{
		Records: l.records, Now: l.clock, Log: slog.New(slog.NewTextHandler(&l.log, nil)),
		Instances: func() []tenancy.InstanceID { return []tenancy.InstanceID{"orders", "idle"} },
		Logs: func(context.Context) (map[tenancy.InstanceID]Logs, error) {
			return map[tenancy.InstanceID]Logs{"orders": l.logs}, nil
		},
		Wait: func(_ context.Context, d time.Duration) error {
			l.pass(d)
			if l.waits++; l.wait != nil {
				l.wait(l.waits)
			}
			return nil
		},
	})
	l.meter(t, 1000)
	l.logs.Topics[0].Records = 1000
	l.compare(t) // the first one only remembers
	return l
}

// meter pushes n records more, in the hour that is.
func (l *testLogs) meter(t *testing.T, n int64) {
	t.Helper()
	if hour := HourOf(l.at); l.count.Hour != hour {
		l.count.Hour, l.count.Values = hour, Values{}
	}
	l.count.Seq++
	l.count.Values[ProduceRecords] += n
	part := l.count
	part.Line.Part = "topic=t" // of the same records
	pushAll(t, l.Store, l.count, part)
}

func (l *testLogs) compare(t *testing.T) Comparison {
	t.Helper()
	l.waits = 0
	if err := l.Compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, ok, err := l.records.Comparison(t.Context(), "orders")
	if err != nil || !ok {
		t.Fatalf("no result: %v", err)
	}
	return c
}

func (l *testLogs) alarms() int { return strings.Count(l.log.String(), "in the logs differ") }

func TestComparisons(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, l *testLogs) // between two comparisons, and in the second one
		diff int64
		note string
	}{
		"nothing": {do: func(*testing.T, *testLogs) {}},
		"the same on both sides": {do: func(t *testing.T, l *testLogs) {
			l.meter(t, 50)
			l.logs.Topics[1].Records += 50
		}},
		"over many hours": {do: func(t *testing.T, l *testLogs) {
			for range 9 {
				l.pass(time.Hour)
				l.meter(t, 10)
				l.logs.Topics[1].Records += 10
				if c := l.compare(t); c.Difference != 0 || c.Note != "" || c.Appended != 10 {
					t.Errorf("in between: %+v", c)
				}
			}
		}},
		"in flight": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics[0].Records += 7
			l.wait = func(n int) {
				if n == 1 {
					l.meter(t, 7)
				}
			}
		}},
		"appended after it was asked": {do: func(t *testing.T, l *testLogs) {
			l.wait = func(n int) {
				if n == 1 {
					l.meter(t, 7)
					l.logs.Topics[0].Records += 7
				}
			}
		}},
		"more metered": {do: func(t *testing.T, l *testLogs) { l.meter(t, 3) }, diff: -3},
		"more appended": {do: func(t *testing.T, l *testLogs) {
			l.meter(t, 3)
			l.logs.Topics[0].Records += 5
		}, diff: 2},
		"metered late": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics[0].Records += 5
			l.wait = func(n int) {
				if n == 2 { // before the second look
					l.meter(t, 5)
				}
			}
		}},
		"markers of transactions": {do: func(t *testing.T, l *testLogs) {
			l.meter(t, 0)
			l.count.Values[TransactionalRecords] += 4
			l.meter(t, 4)
			l.logs.Topics[0].Records += 6
		}, note: "markers"},
		"a marker after the baseline": {do: func(t *testing.T, l *testLogs) {
			l.meter(t, 0)
			l.count.Values[TransactionalRecords] += 4
			l.meter(t, 4)
			l.logs.Topics[0].Records += 4
			l.compare(t)
			l.logs.Topics[0].Records++
		}, note: "markers"},
		"more metered, with transactions": {do: func(t *testing.T, l *testLogs) {
			l.meter(t, 0)
			l.count.Values[TransactionalRecords] += 4
			l.meter(t, 4)
			l.logs.Topics[0].Records++
		}, diff: -3},
		"a new topic": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics = append(l.logs.Topics, LogEnd{ID: [16]byte{3}, Records: 9, Known: true})
			l.meter(t, 8)
		}, diff: 1},
		"a topic is gone": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics = l.logs.Topics[1:]
			l.meter(t, 8)
		}, note: "deleted"},
		"a topic was made anew": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics[0].ID, l.logs.Topics[0].Records = [16]byte{9}, 8
			l.meter(t, 8)
		}, note: "deleted"},
		"all topics are gone": {do: func(_ *testing.T, l *testLogs) { l.logs.Topics = nil }, note: "deleted"},
		"no leader, and then a difference": {do: func(t *testing.T, l *testLogs) {
			l.logs.Topics[0].Known = false
			l.meter(t, 8)
			if c := l.compare(t); c.Note == "" || c.Difference != 0 {
				t.Errorf("without a leader: %+v", c)
			}
			l.logs.Topics[0].Known = true
		}, diff: -8},
		"not its own topics": {do: func(t *testing.T, l *testLogs) {
			l.logs.Skip = "it writes to topics under aliases"
			l.meter(t, 8)
		}, note: "aliases"},
		"less hides behind a quiet time": {do: func(t *testing.T, l *testLogs) {
			l.wait = func(n int) { // a baseline in the midst of load
				l.meter(t, 100)
				l.logs.Topics[0].Records += 100
			}
			l.compare(t)
			l.wait = nil
			l.logs.Topics[0].Records++
		}, diff: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLogs(t)
			l.pass(time.Hour)
			c.do(t, l)
			got := l.compare(t)
			if got.Difference != c.diff || c.note == "" != (got.Note == "") || !strings.Contains(got.Note, c.note) {
				t.Errorf("%+v, want a difference of %d and %q", got, c.diff, c.note)
			}
			if told := l.alarms(); (told == 1) != (c.diff != 0) {
				t.Errorf("it was told %d times:\n%s", told, &l.log)
			}
			l.wait = nil
			if got = l.compare(t); got.Difference != 0 || l.alarms() > 1 {
				t.Errorf("an hour later: %+v, told %d times", got, l.alarms())
			}
		})
	}
}
