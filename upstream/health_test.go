package upstream

import (
	"errors"
	"testing"
	"time"
)

func TestHealthBackoff(t *testing.T) {
	var h health
	now := time.Unix(1000, 0)
	why := errors.New("refused")
	h.track(1, now)
	if err := h.down(1); err != nil {
		t.Fatalf("a new broker is down: %v", err)
	}
	if !h.failed(1, now, why) {
		t.Error("the first failure is no fall")
	}
	wait := minBackoff
	for i := range 10 {
		at, ok := h.retryAt(1)
		if !ok || at.Sub(now) != wait {
			t.Fatalf("failure %d: probed again after %s, want %s", i+1, at.Sub(now), wait)
		}
		if h.failed(1, now, errors.New("under way at the same time")); !errors.Is(h.down(1), why) {
			t.Fatalf("down: %v, want %v", h.down(1), why)
		}
		now = at
		if h.failed(1, now, why) {
			t.Error("fell twice")
		}
		wait = min(2*wait, maxBackoff)
	}
	if got := h.all()[0]; got.Up || !got.Since.Equal(time.Unix(1000, 0)) || !errors.Is(got.Err, why) {
		t.Errorf("health %+v", got)
	}
	if !h.answered(1, now) || h.answered(1, now) {
		t.Error("it does not rise once")
	}
	if got := h.all()[0]; !got.Up || !got.Since.Equal(now) || got.Err != nil {
		t.Errorf("health %+v", got)
	}
	h.failed(1, now, why)
	if at, _ := h.retryAt(1); at.Sub(now) != minBackoff {
		t.Errorf("the backoff did not start anew: %s", at.Sub(now))
	}
}

func TestHealthOfStrangers(t *testing.T) {
	var h health
	if h.failed(7, time.Now(), errors.New("x")) || h.answered(7, time.Now()) || h.down(7) != nil || len(h.all()) != 0 {
		t.Error("a node that metadata does not have has a health")
	}
	h.track(7, time.Now())
	h.forget(7)
	if len(h.all()) != 0 {
		t.Error("a node that left has a health")
	}
}
