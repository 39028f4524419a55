package proxy

import (
	"math"
	"slices"
	"time"
)

const (
	// windowOff is the size of a window that nobody is held up by.
	windowOff = math.MaxInt64 / 4
	// windowLeast is the smallest window, in bytes: one Produce of a default batch size
	// for each of dozens of producers.
	windowLeast = 1 << 20
	// windowMost is a size from which on there is no window any more: a broker that
	// takes that much at once is not what holds work up.
	windowMost = 256 << 20
	// windowEvery is over how long answers are judged together.
	windowEvery = 100 * time.Millisecond
	// windowBase is how long the fastest answer counts, in as many parts.
	windowBase  = time.Minute
	windowParts = 6
	// windowSlack and windowFactor are how much slower than the fastest answer of the
	// last minute the median may be before requests are taken to queue at the broker.
	windowSlack  = 20 * time.Millisecond
	windowFactor = 4
	// windowProbe is how often a window that is in force is made as small as it may be,
	// for two of windowEvery: or the fastest answer of a minute in which requests
	// always queued would be taken for the broker's own time, and the queue grow from
	// minute to minute (BBR's ProbeRTT has the same reason).
	windowProbe = 20 * time.Second
)

// windowSize says how many bytes may be on their way to one broker, by how long its
// answers take: as little as needed for the broker to be busy and not more, so that
// those who wait, wait here, where turns are fair. Time is an argument. Not for
// concurrent use.
type windowSize struct {
	size    int64 // bytes; windowOff: no bound
	full    bool  // somebody waited, or would have, since began
	most    int64 // bytes that were on their way at once since began
	began   time.Time
	took    [64]time.Duration // answers since began, the first of them
	answers int
	fastest [windowParts]fastest
	probed  time.Time // when the last probe began, or the window came in force
	resume  int64     // the size after the probe that is under way; 0: none is
}

// fastest is the fastest answer of one part of the last windowBase.
type fastest struct {
	part int64 // since 1970
	took time.Duration
}

// answered notes that an answer came now, after took, when inFlight bytes were on
// their way; full says that others wait for a place. least bounds the window from
// below, in bytes. It reports whether the size has changed.
func (w *windowSize) answered(now time.Time, took time.Duration, inFlight int64, full bool, least int64) (changed bool) {
	if w.size == 0 {
		w.size = windowOff
	}
	if w.began.IsZero() {
		w.began = now
	}
	if now.Sub(w.began) >= windowEvery {
		changed = w.judge(now, least)
		w.began, w.full, w.most, w.answers = now, false, 0, 0
	}
	if w.answers < len(w.took) {
		w.took[w.answers] = took
		w.answers++
	}
	w.full, w.most = w.full || full, max(w.most, inFlight)
	part := now.UnixNano() / int64(windowBase/windowParts)
	if f := &w.fastest[part%windowParts]; f.part != part || took < f.took {
		*f = fastest{part, took}
	}
	return changed
}

// judge makes the window smaller by a tenth if answers queue, larger by a tenth if
// they do not and it is full.
func (w *windowSize) judge(now time.Time, least int64) (changed bool) {
	base, known := w.base(now)
	if !known || w.answers == 0 {
		return false
	}
	least = max(least, windowLeast)
	switch probing := now.Sub(w.probed); {
	case w.resume != 0 && probing < 2*windowEvery:
		return false
	case w.resume != 0:
		w.size, w.resume = max(w.resume, least), 0
		return true
	case w.size != windowOff && w.size > least && probing >= windowProbe:
		w.size, w.resume, w.probed = least, w.size, now
		return true
	}
	took := w.took[:w.answers]
	slices.Sort(took)
	before := w.size
	switch queued := took[len(took)/2] > max(windowFactor*base, base+windowSlack); {
	case queued:
		if w.size == windowOff {
			w.probed = now
		}
		w.size = max(min(w.size, w.most)/10*9, least)
	case w.size != windowOff && w.full:
		w.size += w.size / 10
	}
	if w.size > windowMost {
		w.size = windowOff
	}
	return w.size != before
}

// base is the fastest answer of the last minute.
func (w *windowSize) base(now time.Time) (base time.Duration, known bool) {
	part := now.UnixNano() / int64(windowBase/windowParts)
	for _, f := range w.fastest {
		if f.part > part-windowParts && f.part <= part && (!known || f.took < base) {
			base, known = f.took, true
		}
	}
	return base, known
}
