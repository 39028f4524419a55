package quota

import (
	"log/slog"
	"time"

	"weir/tenancy"
)

// An instance is throttled badly when clients of this gateway had to wait for one
// limit in more than alarmShare of alarmSpan (operations.md E), and no longer when
// none did in all of that.
const (
	alarmMinutes = 5
	alarmSpan    = alarmMinutes * time.Minute
	alarmShare   = 0.01
)

// wall is in how much of the last minutes somebody of an instance waited for one
// limit: time of the clock, however many did. The book's mutex guards it.
type wall struct {
	waits
	minutes [alarmMinutes + 1]wallMinute // by minute, in turns
	alarmed bool
}

type wallMinute struct {
	minute int64 // since 1970
	waited time.Duration
}

func (w *wall) note(e throttleEvent) {
	minute := e.at.Unix() / 60
	m := &w.minutes[minute%int64(len(w.minutes))]
	if m.minute != minute {
		*m = wallMinute{minute: minute}
	}
	m.waited += w.beyond(e)
}

// waited is how long in the alarmMinutes before this one.
func (w *wall) waited(now time.Time) (sum time.Duration) {
	for _, m := range w.minutes {
		if age := now.Unix()/60 - m.minute; age >= 1 && age <= alarmMinutes {
			sum += m.waited
		}
	}
	return sum
}

// throttleAlarm is a line of the log.
type throttleAlarm struct {
	id     tenancy.InstanceID
	limit  tenancy.LimitName
	waited time.Duration // 0: it has ended
}

// alarms are what has crossed a bound since it was asked last.
func (b *throttleBook) alarms(now time.Time) (lines []throttleAlarm) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, log := range b.logs {
		for limit, w := range log.walls {
			waited := w.waited(now)
			switch {
			case !w.alarmed && waited.Seconds() > alarmShare*alarmSpan.Seconds(), w.alarmed && waited == 0:
				w.alarmed = waited > 0
				lines = append(lines, throttleAlarm{id, limit, waited})
			}
		}
	}
	return lines
}

// alarmed is whether the end of an alarm is still to be told.
func (l *throttleLog) alarmed() bool {
	for _, w := range l.walls {
		if w.alarmed {
			return true
		}
	}
	return false
}

func (a throttleAlarm) log(to *slog.Logger) {
	if a.waited == 0 {
		to.Info("instance is not throttled any more", "instance", string(a.id), "limit", string(a.limit))
		return
	}
	to.Warn("instance is throttled", "instance", string(a.id), "limit", string(a.limit),
		"waited", a.waited.Round(100*time.Millisecond), "of", alarmSpan,
		"fix", "raise the limit or use less: weir throttle list "+string(a.id)+" says who and how")
}
