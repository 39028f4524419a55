package quota

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"

	"weir/tenancy"
)

// maxSubBuckets is how many buckets of sub-quotas an instance has at a time for each
// process. A client says what its id is, and may say another at every connection:
// beyond that those to whom a default applies share one bucket of it.
const maxSubBuckets = 1000

// maxSubAsks is for how many of them one round asks at the most. Redis does nothing
// else meanwhile, for 2 ms or so; with a thousand it would be 25, five times a second
// for each gateway. An instance that keeps more busy gets less than their limits.
const maxSubAsks = 100

// maxKeyName bounds what names a user or client id in the name of a bucket, in bytes.
const maxKeyName = 64

// subQuotas are an instance's sub-quotas by whom they are for: nil in most instances.
type subQuotas map[entityKey]map[string]float64

// rule is one sub-quota.
type rule struct {
	entity entityKey
	value  float64
}

func compileSubQuotas(all []tenancy.Quota) subQuotas {
	if len(all) == 0 {
		return nil
	}
	q := make(subQuotas, len(all))
	for _, one := range all {
		q[keyOfEntity(one.Entity)] = one.Values
	}
	return q
}

// of is the one sub-quota that bounds a dimension for a user with a client id, and
// whose use it bounds: Kafka's DefaultQuotaCallback asks the same entities in the
// same order, and the first that has the key applies alone. "" is the default. What
// is said of a default bounds each that it applies to on its own.
func (q subQuotas) of(d Dimension, user, client string) (r rule, of entityKey, ok bool) {
	if len(q) == 0 {
		return r, of, false
	}
	kind, _ := tenancy.KindOf(d.Limit())
	if kind.SubQuota == "" {
		return r, of, false
	}
	for _, e := range [...]entityKey{
		{user: user, hasUser: true, client: client, hasClient: true},
		{user: user, hasUser: true, hasClient: true},
		{user: user, hasUser: true},
		{hasUser: true, client: client, hasClient: true},
		{hasUser: true, hasClient: true},
		{hasUser: true},
		{client: client, hasClient: true},
		{hasClient: true},
	} {
		value, has := q[e][kind.SubQuota]
		if !has {
			continue
		}
		of = entityKey{hasUser: e.hasUser, hasClient: e.hasClient}
		if e.hasUser {
			of.user = user
		}
		if e.hasClient {
			of.client = client
		}
		return rule{e, value}, of, true
	}
	return r, of, false
}

// subKey is the bucket of whom a rule bounds.
func (a *account) subKey(d Dimension, r rule, of entityKey) bucketKey {
	key := bucketKey{dim: d, of: of}
	if a.buckets[key] == nil && a.subs >= maxSubBuckets && of != r.entity {
		return bucketKey{dim: d, of: r.entity, shared: true}
	}
	return key
}

func (k bucketKey) isSub() bool { return !k.shared && k.of != entityKey{} }

// name is what a bucket is called within its instance: the limit, and for sub-quotas
// whose use it bounds, as ":user=alice:client=etl".
func (k bucketKey) name() string {
	name := string(k.dim.Limit())
	if k.of.hasUser {
		name += ":user=" + keyName(k.of.user)
	}
	if k.of.hasClient {
		name += ":client=" + keyName(k.of.client)
	}
	if k.shared {
		name += ":rest"
	}
	return name
}

// keyName is fit for a key, for the eye, and bounded.
func keyName(name string) string {
	text := url.QueryEscape(name)
	if len(text) <= maxKeyName {
		return text
	}
	sum := sha256.Sum256([]byte(name))
	return "*" + base64.RawURLEncoding.EncodeToString(sum[:18])
}
