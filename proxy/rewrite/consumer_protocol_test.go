package rewrite

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMapSubscription(t *testing.T) {
	s := newSession(nil)
	for version := range 6 {
		mapped, err := mapSubscription(subscriptionBlob(version, "orders", ""), s.toPhysical)
		if diff := cmp.Diff(subscriptionBlob(version, "acme.orders", "acme."), mapped); err != nil || diff != "" {
			t.Errorf("v%d: %v (-want +got):\n%s", version, err, diff)
		}
		back, err := mapSubscription(mapped, s.toVirtual)
		if diff := cmp.Diff(subscriptionBlob(version, "orders", ""), back); err != nil || diff != "" {
			t.Errorf("v%d back: %v (-want +got):\n%s", version, err, diff)
		}
	}
}

func TestMapAssignment(t *testing.T) {
	s := newSession(nil)
	for version := range 5 {
		mapped, err := mapAssignment(assignmentBlob(version, "orders", "payments"), s.toPhysical)
		if diff := cmp.Diff(assignmentBlob(version, "acme.orders", "acme.payments"), mapped); err != nil || diff != "" {
			t.Errorf("v%d: %v (-want +got):\n%s", version, err, diff)
		}
	}
	foreign, err := mapAssignment(assignmentBlob(1, "acme.orders", "other.orders"), s.toVirtual)
	if diff := cmp.Diff(assignmentBlob(1, "orders"), foreign); err != nil || diff != "" {
		t.Errorf("foreign topics are not dropped: %v (-want +got):\n%s", err, diff)
	}
}

// TestMapSubscriptionShort: blobs that announce more than they hold, but end
// where an older version does, are passed on as that version.
func TestMapSubscriptionShort(t *testing.T) {
	s := newSession(nil)
	for version := range 3 {
		short := subscriptionBlob(version, "orders")
		binary.BigEndian.PutUint16(short, 3)
		got, err := mapSubscription(short, s.toPhysical)
		if diff := cmp.Diff(subscriptionBlob(version, "acme.orders"), got); err != nil || diff != "" {
			t.Errorf("v%d announced as 3: %v (-want +got):\n%s", version, err, diff)
		}
	}
}

func TestMapBlobMalformed(t *testing.T) {
	s := newSession(nil)
	huge := []byte{0, 0, 0x7f, 0xff, 0xff, 0xff}
	for name, blob := range map[string][]byte{
		"one byte":          {0},
		"negative version":  {0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"count too large":   huge,
		"count negative":    {0, 0, 0xff, 0xff, 0xff, 0xff},
		"name too long":     append([]byte{0, 0, 0, 0, 0, 1, 0x7f, 0xff}, "short"...),
		"name null":         {0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"user data too big": {0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
		"no user data":      {0, 0, 0, 0, 0, 0},
		"no room for prefix": append(append([]byte{0, 0, 0, 0, 0, 1, 0x7f, 0xff}, strings.Repeat("x", 0x7fff)...),
			0, 0, 0, 0, 0, 0, 0, 0),
	} {
		if got, err := mapSubscription(blob, s.toPhysical); err == nil {
			t.Errorf("subscription, %s: became %x", name, got)
		}
		if got, err := mapAssignment(blob, s.toPhysical); err == nil {
			t.Errorf("assignment, %s: became %x", name, got)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = mapSubscription(huge, s.toPhysical) }); n > 4 {
		t.Errorf("a count of 2^31-1 makes %v allocations", n)
	}
	for _, empty := range [][]byte{nil, {}} {
		if got, err := mapSubscription(empty, s.toPhysical); err != nil || len(got) != 0 {
			t.Errorf("empty subscription: %x, %v", got, err)
		}
		if got, err := mapAssignment(empty, s.toPhysical); err != nil || len(got) != 0 {
			t.Errorf("empty assignment: %x, %v", got, err)
		}
	}
}

// TestMapSubscriptionTruncated: a blob that is cut anywhere is refused, or is a
// whole blob of an older version.
func TestMapSubscriptionTruncated(t *testing.T) {
	s := newSession(nil)
	whole := subscriptionBlob(3, "orders", "payments")
	for n := 1; n < len(whole); n++ {
		mapped, err := mapSubscription(whole[:n], s.toPhysical)
		if err != nil {
			continue
		}
		m := kmsg.NewConsumerMemberMetadata()
		if err := m.ReadFrom(mapped); err != nil || int(m.Version) >= 3 {
			t.Errorf("cut at %d: v%d, %v", n, m.Version, err)
		}
	}
}

func FuzzBlob(f *testing.F) {
	for version := range 4 {
		f.Add(subscriptionBlob(version, "orders", "payments"))
		f.Add(assignmentBlob(version, "orders"))
	}
	s := newSession(nil)
	f.Fuzz(func(t *testing.T, blob []byte) {
		for what, walk := range map[string]func([]byte, nameMap) ([]byte, error){"subscription": mapSubscription, "assignment": mapAssignment} {
			mapped, err := walk(blob, s.toPhysical)
			if err != nil {
				continue
			}
			back, err := walk(mapped, s.toVirtual)
			if err != nil {
				t.Fatalf("%s: what was mapped cannot be read: %x → %x: %v", what, blob, mapped, err)
			}
			// A short blob comes back as the version that it is.
			if len(blob) != len(back) || len(blob) > 2 && !bytes.Equal(blob[2:], back[2:]) {
				t.Fatalf("%s: %x → %x → %x", what, blob, mapped, back)
			}
			if foreign, err := walk(blob, s.toVirtual); err == nil && bytes.Contains(foreign, []byte("other.")) && !bytes.Contains(blob, []byte("other.")) {
				t.Fatalf("%s: %x holds a foreign name", what, foreign)
			}
		}
	})
}
