package proxy

import (
	"fmt"
	"testing"
	"time"

	"weir/metering"
	"weir/tenancy"
)

// meteredNames is a breakdown with room for two names of each kind.
func meteredNames(t *testing.T) (*usages, *metering.Book, *tenancy.View) {
	t.Helper()
	book, err := metering.NewBook(metering.Config{Gateway: "g"})
	if err != nil {
		t.Fatal(err)
	}
	v := &tenancy.View{Instance: tenancy.Instance{ID: "i-a", Tenant: "t", Plan: "dev", Pool: "main"}}
	return newUsages(Config{Usage: book, Breakdown: Breakdown{User: true, Topic: true, Most: 2}}), book, v
}

// bytesByPart are the bytes that were produced.
func bytesByPart(t *testing.T, b *metering.Book) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for c, err := range b.All(0) {
		if err != nil {
			t.Fatal(err)
		}
		all[c.Line.Part] += c.Values[metering.ProduceBytes]
	}
	return all
}

// However many names there are in an hour, a few have a count of their own; in the next
// hour they make room if they were not used.
func TestBreakdownHasRoomForSomeNames(t *testing.T) {
	s, book, v := meteredNames(t)
	s.tidy(time.Unix(0, 0))
	u := s.open(v, "main", "u")
	add := func(names ...string) {
		for _, name := range names {
			u.parts.topic([]byte(name)).Add(metering.ProduceBytes, 1)
		}
	}
	add("a", "b", "c", "d", "a")
	want := func(when string, parts map[string]int64) {
		t.Helper()
		all := bytesByPart(t, book)
		for part, n := range parts {
			if all[part] != n {
				t.Errorf("%s: %q has %d, want %d; all: %v", when, part, all[part], n, all)
			}
		}
		if _, more := all["topic=d"]; more {
			t.Errorf("%s: more names than there is room for: %v", when, all)
		}
	}
	want("first hour", map[string]int64{"topic=a": 2, "topic=b": 1, "topic": 2})
	s.tidy(time.Unix(3500, 0)) // the same hour
	add("c")
	want("the same hour", map[string]int64{"topic": 3})
	s.tidy(time.Unix(3600, 0)) // both names were used
	add("a", "c")
	want("second hour", map[string]int64{"topic=a": 3, "topic": 4})
	s.tidy(time.Unix(7200, 0)) // b was not
	add("c", "b")
	want("third hour", map[string]int64{"topic=c": 1, "topic=b": 1, "topic": 5})
	s.close(u)
	s.tidy(time.Unix(4*3600, 0))
	if len(s.all) != 0 {
		t.Errorf("an instance without sessions is remembered: %v", s.all)
	}
}

// A user has the name's count as long as a session of his lasts, whatever the hour.
func TestBreakdownKeepsUsersThatAreThere(t *testing.T) {
	s, _, v := meteredNames(t)
	s.tidy(time.Unix(0, 0))
	var open []*use
	for i := range 4 {
		open = append(open, s.open(v, "main", fmt.Sprint("u", i)))
	}
	if open[2].user != open[3].user || open[0].user == open[1].user || open[0].user == open[2].user {
		t.Error("two users have counts of their own, the others one together")
	}
	for hour := range int64(3) {
		s.tidy(time.Unix(hour*3600, 0))
	}
	again := s.open(v, "main", "u1")
	if again.user != open[1].user {
		t.Error("a user who is there has another count in another hour")
	}
	for _, u := range append(open[1:], again) {
		s.close(u)
	}
	s.tidy(time.Unix(4*3600, 0))
	s.tidy(time.Unix(5*3600, 0))
	if fresh := s.open(v, "main", "u9"); fresh.user == open[2].user {
		t.Error("there is no room though users have gone")
	}
}

// A name that is known takes no memory, nor does what is counted.
func TestMeterDoesNotAllocate(t *testing.T) {
	s, _, v := meteredNames(t)
	u := s.open(v, "main", "u")
	name := []byte("orders")
	u.parts.topic(name)
	n := testing.AllocsPerRun(1000, func() {
		b := metering.Batch{Bytes: 100, Records: 3, Idempotent: true, Offset: 7, Partition: 9}
		b.Parts = [2]*metering.Account{u.user, u.parts.topic(name)}
		u.whole.Produced(&b)
		fetched(u.parts.topic(name), 10, 1)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
