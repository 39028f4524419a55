package quota

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

func entity(text string) (e tenancy.QuotaEntity) {
	for part := range strings.FieldsSeq(text) {
		kind, name, _ := strings.Cut(part, "=")
		if kind == "user" {
			e.User = &name
		} else {
			e.ClientID = &name
		}
	}
	return e
}

func TestSubQuotaByKafkasPrecedence(t *testing.T) {
	all := []string{"user=u client=c", "user=u client=", "user=u", "user= client=c", "user= client=", "user=", "client=c", "client="}
	names := []string{":user=u:client=c", ":user=u:client=c", ":user=u", ":user=u:client=c", ":user=u:client=c", ":user=u", ":client=c", ":client=c"}
	for first := range all {
		var quotas []tenancy.Quota
		for i := len(all) - 1; i >= first; i-- {
			quotas = append(quotas, tenancy.Quota{Entity: entity(all[i]), Values: map[string]float64{tenancy.QuotaProducerBytes: float64(1000 * (i + 1))}})
		}
		quotas = append(quotas, // of others, or of other keys: never for u and c's produce
			tenancy.Quota{Entity: entity("user=v client=c"), Values: map[string]float64{tenancy.QuotaProducerBytes: 1}},
			tenancy.Quota{Entity: entity("user=u client=d"), Values: map[string]float64{tenancy.QuotaProducerBytes: 1}},
			tenancy.Quota{Entity: entity("user=v"), Values: map[string]float64{tenancy.QuotaProducerBytes: 1}})
		quotas[len(quotas)-4].Values[tenancy.QuotaConsumerBytes] = 7
		s := newAlone(nil, quotas...).Scope("i-1", "u", "c")
		b := s.now.Load().buckets[ProduceBytes][1]
		if b == nil || b.rate.Load() != int64(1000*(first+1)*scale) || b.name != "produce_bytes_per_second"+names[first] {
			t.Errorf("where %q is the first of %v: bucket %+v, want %s at %d", all[first], all[first:], b, names[first], 1000*(first+1))
		}
		if b := s.now.Load().buckets[FetchBytes][1]; b == nil || b.rate.Load() != 7*scale {
			t.Errorf("another key of %q does not apply", all[first])
		}
	}
}

func TestDefaultsGiveEachABucketOfItsOwn(t *testing.T) {
	l := newAlone(nil, tenancy.Quota{Entity: entity("user="), Values: map[string]float64{tenancy.QuotaProducerBytes: 1000}})
	bucketOf := func(user, client string) *bucket {
		return l.Scope("i-1", user, client).now.Load().buckets[ProduceBytes][1]
	}
	if a, b := bucketOf("alice", "x"), bucketOf("alice", "y"); a != b {
		t.Error("two client ids of a user have a bucket each, want one of the user")
	}
	if a, b := bucketOf("alice", "x"), bucketOf("bob", "x"); a == b {
		t.Error("two users share a bucket of the default")
	}
}

// A client may say another client id at each connection.
func TestSubBucketsAreBounded(t *testing.T) {
	l := newAlone(nil, tenancy.Quota{Entity: entity("client="), Values: map[string]float64{tenancy.QuotaProducerBytes: 1000}},
		tenancy.Quota{Entity: entity("client=known"), Values: map[string]float64{tenancy.QuotaProducerBytes: 2000}})
	var scopes []*Scope
	for i := range 3 * maxSubBuckets {
		scopes = append(scopes, l.Scope("i-1", "u", fmt.Sprint("client", i)))
	}
	known := l.Scope("i-1", "u", "known")
	if b := known.now.Load().buckets[ProduceBytes][1]; b.key.shared || b.rate.Load() != 2000*scale {
		t.Errorf("who has a quota of its own got the bucket %s", b.name)
	}
	a := l.accounts["i-1"]
	if n := len(a.buckets); n != maxSubBuckets+2 {
		t.Errorf("%d client ids have %d buckets, want %d", 3*maxSubBuckets, n, maxSubBuckets+2)
	}
	if b := scopes[len(scopes)-1].now.Load().buckets[ProduceBytes][1]; !b.key.shared || b.name != "produce_bytes_per_second:client=:rest" {
		t.Errorf("who came last has the bucket %+v", b)
	}
	for _, s := range append(scopes, known) {
		s.Close()
	}
	if len(a.buckets) != 0 || a.subs != 0 || len(l.accounts) != 0 {
		t.Errorf("when all have gone %d buckets (%d of sub-quotas) and %d accounts are left", len(a.buckets), a.subs, len(l.accounts))
	}
}

func TestSubQuotaHoldsOverTheFleet(t *testing.T) {
	plan := tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1e6}}
	inFleet(t, 3, plan, func(t *testing.T, f *fleet) {
		f.change(plan, tenancy.Quota{Entity: entity("user=u"), Values: map[string]float64{tenancy.QuotaProducerBytes: 2e5}})
		f.load(ProduceBytes, 5000, 4, 5*time.Second, 0, 1, 2)
		if done := f.load(ProduceBytes, 5000, 4, 20*time.Second, 0, 1, 2); done > 20*2.1e5+15_000 || done < 20*1.9e5 {
			t.Errorf("a user with 200 kB/s got %d kB in 20 s", done/1000)
		}
	})
}
