package rewrite

import (
	"reflect"
	"strings"
	"sync"
)

// probe is the way to a field of a message that could show something of the
// pool, or to several below one field.
type probe struct {
	index int    // of the field in its struct
	path  string // as in fields.tsv; "" for those that only lead to others
	as    snare  // what the field could show; 0 likewise
	below []probe
	// Of what the field is judged by, the index in the same struct; -1: not there.
	node, port int // of a host: NodeID, Port
	protocol   int // of an inner struct: ProtocolType, which says what blobs below are
}

// snare is a way in which a field could show something of the pool.
type snare uint8

const (
	snareName   snare = iota + 1 // of a topic, group or transaction
	snareRegex                   // of topics
	snareText                    // for people
	snareHost                    // of a broker
	snareClient                  // of a client, where brokers see the gateway
	snareCluster
	snareSubscription // consumer protocol, whose topics are names
	snareAssignment
	snareQuoted // in requests: what a text of our own may repeat
)

func (s snare) String() string {
	return [...]string{
		"nothing", "a name", "a topic pattern", "an error text", "a broker's address", "a client's host", "a cluster id",
		"a subscription's topic", "an assignment's topic", "the client's own text",
	}[s]
}

// snareOf says what a field of that meaning (fields.tsv) could show, 0: nothing
// that the tripwire knows. Topic ids are held against the pool's map instead.
func snareOf(meaning string) snare {
	switch meaning {
	case "topic_name", "group_id", "transactional_id", "coordinator_key", "resource_name":
		return snareName
	case "topic_regex":
		return snareRegex
	case "error_message":
		return snareText
	case "host":
		return snareHost
	case "client_host":
		return snareClient
	case "cluster_id":
		return snareCluster
	case "embedded_consumer_subscription":
		return snareSubscription
	case "embedded_consumer_assignment":
		return snareAssignment
	}
	return 0
}

// probes are those of one kind of message, found when they are first needed.
// Any goroutine.
type probes struct {
	once sync.Once
	all  []probe
}

func (p *probes) of(m Message, direction string) []probe {
	p.once.Do(func() { p.all = probesOf(m, direction) })
	return p.all
}

// probesOf finds the fields of m's type that fields.tsv lists for its key with a
// meaning that the tripwire knows. A path that kmsg does not have is left out.
func probesOf(m Message, direction string) []probe {
	var all []probe
	for _, f := range fieldsOf(m.Key(), direction) {
		as := snareOf(f.meaning)
		if as == 0 && direction == "req" {
			as = snareQuoted
		}
		if as != 0 {
			all = addProbe(all, reflect.TypeOf(m).Elem(), f.path, strings.Split(f.path, "."), as)
		}
	}
	return all
}

// addProbe adds to level the way to path, of which steps are left, from struct t on.
func addProbe(level []probe, t reflect.Type, path string, steps []string, as snare) []probe {
	field, ok := t.FieldByName(strings.TrimRight(steps[0], "[]"))
	if !ok {
		return level
	}
	p := probe{index: field.Index[0], node: indexOf(t, "NodeID"), port: indexOf(t, "Port"), protocol: -1}
	if len(steps) == 1 {
		p.path, p.as = path, as
		return append(level, p)
	}
	inner := field.Type
	for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	for i := range level {
		if level[i].index == p.index {
			level[i].below = addProbe(level[i].below, inner, path, steps[1:], as)
			return level
		}
	}
	p.protocol = indexOf(inner, "ProtocolType")
	p.below = addProbe(nil, inner, path, steps[1:], as)
	return append(level, p)
}

// indexOf is the index of t's field of that name, -1 if it has none.
func indexOf(t reflect.Type, name string) int {
	if f, ok := t.FieldByName(name); ok {
		return f.Index[0]
	}
	return -1
}

// judge is told of each value of the fields that probes lead to: f, which is a
// field of struct in, or an element of one.
type judge interface {
	value(p *probe, in, f reflect.Value) error
	// protocol is told of the type of the blobs that follow.
	protocol(kind string)
}

// walk shows j all values below v, a struct. It stops at the first error.
func walk(v reflect.Value, level []probe, j judge) error {
	for i := range level {
		p := &level[i]
		if err := walkField(p, v, v.Field(p.index), j); err != nil {
			return err
		}
	}
	return nil
}

func walkField(p *probe, in, f reflect.Value, j judge) error {
	switch k := f.Kind(); {
	case k == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8:
		for i := range f.Len() {
			if err := walkField(p, in, f.Index(i), j); err != nil {
				return err
			}
		}
		return nil
	case k == reflect.Pointer:
		if f.IsNil() {
			return nil
		}
		return walkField(p, in, f.Elem(), j)
	case k == reflect.Struct:
		if p.protocol >= 0 {
			if kind := f.Field(p.protocol); kind.Kind() == reflect.String {
				j.protocol(kind.String())
			}
		}
		return walk(f, p.below, j)
	}
	return j.value(p, in, f)
}
