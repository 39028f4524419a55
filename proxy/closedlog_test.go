package proxy

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// 10,000 ends from one address make one line and a count, from 10,000 addresses a
// hundred lines and one count.
func TestClosedLogIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		addr        func(i int) netip.Addr
		first, more int
	}{
		"one address": {func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }, 1, 1},
		"one subscriber": {func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)})
		}, 1, 1},
		"many": {func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }, closedLogLines, 1},
	} {
		t.Run(name, func(t *testing.T) {
			buf := &logBuffer{}
			l := newClosedLog(slog.New(slog.NewTextHandler(buf, nil)))
			now := time.Unix(1_700_000_000, 0)
			first := 0
			for i := range 10_000 {
				if l.first("network-refused", c.addr(i), now) {
					first++
				}
			}
			l.tidy(now.Add(closedLogEvery - time.Second))
			if buf.String() != "" {
				t.Errorf("before the minute is over: %s", buf)
			}
			l.tidy(now.Add(closedLogEvery))
			if more := strings.Count(buf.String(), "\n"); first != c.first || more != c.more {
				t.Errorf("%d and %d lines, want %d and %d:\n%s", first, more, c.first, c.more, buf)
			}
			if !l.first("network-refused", c.addr(0), now.Add(2*closedLogEvery)) {
				t.Error("the next minute has no line")
			}
		})
	}
}
