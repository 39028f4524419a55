package quota

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func newTurns() *turns { return &turns{flows: make(map[tenancy.InstanceID]*flow)} }

// TestTurnsOrder: who goes when, of pieces that all wait from the start.
func TestTurnsOrder(t *testing.T) {
	const kib = 1 << 10
	type piece struct {
		id     string
		weight float64
		size   int64
	}
	equal := func(id string, size int64) piece { return piece{id, 1 << 20, size} }
	for name, tc := range map[string]struct {
		waiting []piece
		want    string // ids in the order in which they go
	}{
		"nobody":                        {nil, ""},
		"first in first out within one": {[]piece{equal("a", kib), equal("a", 9*kib), equal("a", kib)}, "aaa"},
		"turn by turn":                  {[]piece{equal("a", kib), equal("a", kib), equal("a", kib), equal("b", kib), equal("b", kib)}, "ababa"},
		"one of many does not wait for all": {
			append(slices.Repeat([]piece{equal("a", kib)}, 1000), equal("b", kib))[980:], "ab" + "aaaaaaaaaaaaaaaaaaa",
		},
		"a large piece takes its time": {[]piece{equal("a", 4*kib), equal("b", kib), equal("b", kib), equal("b", kib), equal("b", kib)}, "bbbab"},
		"three times the weight":       {[]piece{{"a", 3 << 20, kib}, {"a", 3 << 20, kib}, {"a", 3 << 20, kib}, {"a", 3 << 20, kib}, equal("b", kib), equal("b", kib)}, "aaabab"},
	} {
		t.Run(name, func(t *testing.T) {
			all := newTurns()
			whose := map[*turn]string{}
			for _, p := range tc.waiting {
				w := &turn{size: p.size}
				whose[w] = p.id
				all.push(tenancy.InstanceID(p.id), p.weight, w)
			}
			var got strings.Builder
			for w := all.next(); w != nil; w = all.next() {
				if again := all.next(); again != w {
					t.Fatal("next changes before pop")
				}
				got.WriteString(whose[w])
				all.pop()
			}
			if got.String() != tc.want {
				t.Errorf("order %s, want %s", got.String(), tc.want)
			}
			if len(all.flows) != 0 || len(all.ring) != 0 {
				t.Error("flows of nobody are left")
			}
		})
	}
}

// TestTurnsAreFair: of instances that always have something waiting, each has had
// what its weight is worth, within one largest piece; whatever the sizes.
func TestTurnsAreFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const largest = 1 << 20
		all, served, quantum := newTurns(), map[tenancy.InstanceID]float64{}, map[tenancy.InstanceID]float64{}
		size := rapid.Int64Range(1, largest)
		whose := map[*turn]tenancy.InstanceID{}
		push := func(id tenancy.InstanceID) {
			w := &turn{size: size.Draw(t, "size")}
			whose[w] = id
			all.push(id, quantum[id]/quantumPart, w)
		}
		for i := range rapid.IntRange(1, 8).Draw(t, "instances") {
			id := tenancy.InstanceID(fmt.Sprint(i))
			quantum[id] = rapid.Float64Range(1, 1e8).Draw(t, "weight") * quantumPart
			push(id)
		}
		for range rapid.IntRange(1, 200).Draw(t, "pieces") {
			w := all.next()
			id := whose[w]
			push(id) // before pop: the instance has always something waiting
			all.pop()
			served[id] += float64(w.size)
			fair(t, served, quantum, largest)
		}
	})
}

// fair: there is one number of rounds of which every instance has had its part, less
// one piece at the most.
func fair(t *rapid.T, served, quantum map[tenancy.InstanceID]float64, largest float64) {
	least, most := 0.0, 1e300
	for id, q := range quantum {
		least = max(least, served[id]/q-1)
		most = min(most, (served[id]+largest)/q)
	}
	if least > most*(1+1e-9)+1e-6 {
		t.Fatalf("unfair: some had %v rounds, some less than %v: %v of quanta %v", least, most, served, quantum)
	}
}

// TestTurnsLoseNobody: pieces that come, go and give up in any order leave once each,
// those of one instance in the order they came.
func TestTurnsLoseNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, model := newTurns(), map[tenancy.InstanceID][]*turn{}
		ids := rapid.SampledFrom([]tenancy.InstanceID{"a", "b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				id, w := ids.Draw(t, "id"), &turn{size: rapid.Int64Range(0, 1<<30).Draw(t, "size")}
				all.push(id, rapid.Float64Range(0, 1e9).Draw(t, "weight"), w)
				model[id] = append(model[id], w)
			},
			"pop": func(t *rapid.T) {
				w := all.next()
				for id, queue := range model {
					if len(queue) > 0 && queue[0] == w {
						all.pop()
						model[id] = queue[1:]
						return
					}
				}
				if w != nil {
					t.Fatal("next is nobody's first")
				}
			},
			"remove": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if len(model[id]) == 0 {
					return
				}
				at := rapid.IntRange(0, len(model[id])-1).Draw(t, "at")
				w := model[id][at]
				model[id] = slices.Delete(model[id], at, at+1)
				if !all.remove(id, w) || all.remove(id, w) {
					t.Fatal("want removed once")
				}
			},
			"": func(t *rapid.T) {
				waits := 0
				for _, queue := range model {
					waits += len(queue)
				}
				if (all.next() == nil) != (waits == 0) {
					t.Fatalf("%d wait, and next is %v", waits, all.next())
				}
			},
		})
	})
}
