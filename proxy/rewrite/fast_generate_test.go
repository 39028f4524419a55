package rewrite

import (
	"bytes"
	"context"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// fastTopics is a namespace at its edges: a compact string's length takes a
// second byte from 127 on, which the prefix "acme." may bring about.
func fastTopics() (own, bad []string) {
	own = []string{"a", "orders", "-._", "acme.acme."}
	for n := 120; n <= 128; n++ {
		own = append(own, strings.Repeat("n", n))
	}
	own = append(own, strings.Repeat("n", 249-len("acme.")))
	bad = []string{"", ".", "..", "bad name", "ä", strings.Repeat("n", 250-len("acme.")), "nul\x00"}
	return own, bad
}

// fastPool holds what fastTopics says, and topics of somebody else.
func fastPool() *fakePool {
	own, _ := fastTopics()
	physical := []string{"other.orders", "acmeorders", "acme"}
	for _, name := range own {
		physical = append(physical, "acme."+name)
	}
	return newFakePool(physical...)
}

// generator fills kmsg structs by reflection.
type generator struct {
	t      *rapid.T
	prefix string // of topic names: "acme." on the broker's side
	bad    bool   // some topics are not the instance's
	tags   bool   // unknown tagged fields
}

func (g generator) chance(percent int) bool {
	return rapid.IntRange(1, 100).Draw(g.t, "chance") <= percent
}

func (g generator) topic() string {
	own, bad := fastTopics()
	if g.bad && g.chance(20) {
		return rapid.SampledFrom(bad).Draw(g.t, "bad topic")
	}
	return g.prefix + rapid.SampledFrom(own).Draw(g.t, "topic")
}

func (g generator) topicID() topicID {
	own, _ := fastTopics()
	if g.bad && g.chance(20) {
		return rapid.SampledFrom([]topicID{{}, metadataTopicID(), idOf("other.orders"), idOf("acme"), {1, 2, 3}}).Draw(g.t, "bad id")
	}
	return idOf("acme." + rapid.SampledFrom(own).Draw(g.t, "id"))
}

func (g generator) text() string {
	return rapid.SampledFrom([]string{"", "x", "plain", "acme.orders is full", "see other.orders", strings.Repeat("t", 127)}).Draw(g.t, "text")
}

func (g generator) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		g.fillStruct(v)
	case reflect.Slice:
		g.fillSlice(v)
	case reflect.Pointer:
		if v.IsNil() && g.chance(70) {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem())
		}
	case reflect.String:
		v.SetString(g.text())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		// Never -1: kmsg would take a tagged struct of defaults for absent.
		v.SetInt(rapid.Int64Range(0, 1<<(v.Type().Bits()-2)).Draw(g.t, "int"))
	case reflect.Array:
		v.Set(reflect.ValueOf(g.topicID()))
	}
}

func (g generator) fillStruct(v reflect.Value) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		if g.tags && g.chance(15) {
			tags.Set(uint32(rapid.IntRange(40, 300).Draw(g.t, "tag")), bytes.Repeat([]byte("other."), rapid.IntRange(0, 30).Draw(g.t, "size")))
		}
		return
	}
	if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	for i := range v.NumField() {
		f := v.Field(i)
		switch name := v.Type().Field(i).Name; name {
		case "Version":
		case "Topic":
			f.SetString(g.topic())
		case "CurrentLeader", "DivergingEpoch", "SnapshotID", "ReplicaDirectoryID", "HighWatermark":
			if g.chance(30) || name == "HighWatermark" && v.Type() == reflect.TypeFor[kmsg.FetchResponseTopicPartition]() {
				g.fill(f)
			}
		case "ErrorCode":
			f.SetInt(int64(rapid.SampledFrom([]int16{0, 3, 6, 42, 87}).Draw(g.t, "code")))
		default:
			g.fill(f)
		}
	}
}

func (g generator) fillSlice(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if g.chance(90) {
			v.SetBytes(bytes.Repeat([]byte{0xAB}, rapid.SampledFrom([]int{0, 1, 61, 63, 64, 65, 126, 127, 128, 500}).Draw(g.t, "records")))
		}
		return
	}
	n := rapid.IntRange(0, 4).Draw(g.t, "len")
	if n == 0 && g.chance(50) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		g.fill(v.Index(i))
	}
}

// dropUnknownTags clears all unknown tagged fields within v.
func dropUnknownTags(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dropUnknownTags(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			dropUnknownTags(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kmsg.Tags]() {
			v.SetZero()
			return
		}
		for _, field := range v.Fields() {
			dropUnknownTags(field)
		}
	}
}

// fastExchange is an exchange of a new session of instance acme.
func fastExchange(key kmsg.Key, version int16) *Exchange {
	return &Exchange{Session: newSession(fastPool()), Ctx: context.Background(), Key: int16(key), Version: version}
}

func encode(m Message) []byte { return m.AppendTo(nil) }
