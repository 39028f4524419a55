package proxy

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/upstream"
)

// replyApiVersions answers ApiVersions (18), before and after authentication:
// for each key of the table what every broker of the pool speaks too.
func (c *conn) replyApiVersions(p *pending, body []byte) error {
	if p.version < 0 || p.version > kmsg.NewPtrApiVersionsRequest().MaxVersion() {
		// KIP-511: the answer is in v0 and names the versions of this key.
		resp := &kmsg.ApiVersionsResponse{ErrorCode: kerr.UnsupportedVersion.Code}
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{
			ApiKey: int16(kmsg.ApiVersions), MaxVersion: kmsg.NewPtrApiVersionsRequest().MaxVersion(),
		}}
		return c.reply(p, [][]byte{resp.AppendTo(nil)})
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(p.version)
	if err := rewrite.Decode(req, body); err != nil {
		return &closing{reason: reasonMalformed, err: err}
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(p.version)
	if resp.ErrorCode = c.checkIdentity(req); resp.ErrorCode == 0 {
		c.advertise(resp)
	}
	return c.reply(p, [][]byte{resp.AppendTo(nil)})
}

// checkIdentity checks what a client says of itself (KIP-511) and of whom it
// believes to talk to (KIP-1242).
func (c *conn) checkIdentity(req *kmsg.ApiVersionsRequest) int16 {
	if req.Version >= 3 && (!softwareName(req.ClientSoftwareName) || !softwareName(req.ClientSoftwareVersion)) {
		return kerr.InvalidRequest.Code
	}
	if req.Version < 5 {
		return 0
	}
	if (req.ClusterID == nil) != (req.NodeID < 0) {
		return kerr.InvalidRequest.Code
	}
	if req.ClusterID == nil || c.route.node == AnyNode {
		return 0
	}
	// A coordinator's connection carries the node id counted down from 2³¹-1 in
	// some clients.
	if req.NodeID != c.route.node && req.NodeID != math.MaxInt32-c.route.node {
		return kerr.RebootstrapRequired.Code
	}
	id := c.route.instance
	if c.sess != nil {
		id = c.principal.Instance
	}
	if id == "" { // the credential will say it
		return 0
	}
	// Of an instance that there is not every cluster id is wrong too: a stranger
	// must not learn by it which there are.
	if v, ok := c.srv.cfg.Directory.View(id); !ok || v.Instance.ClusterID != *req.ClusterID {
		return kerr.RebootstrapRequired.Code
	}
	return 0
}

// softwareName is KIP-511's [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
func softwareName(s string) bool {
	for i := range len(s) {
		b := s[i]
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if inside := i > 0 && i < len(s)-1; !alnum && (!inside || b != '-' && b != '.') {
			return false
		}
	}
	return s != ""
}

// pools are those that this client's instance may be in: one, once the endpoint
// or the credential has said which.
func (c *conn) pools() []*upstream.Pool {
	if c.pool != nil {
		return []*upstream.Pool{c.pool}
	}
	if v, ok := c.srv.cfg.Directory.View(c.route.instance); ok {
		if p := c.srv.cfg.Pools[v.Instance.Pool]; p != nil {
			return []*upstream.Pool{p}
		}
	}
	var all []*upstream.Pool
	for name, p := range c.srv.cfg.Pools {
		if c.route.pool == "" || c.route.pool == name {
			all = append(all, p)
		}
	}
	return all
}

// advertise lists keys and features.
func (c *conn) advertise(resp *kmsg.ApiVersionsResponse) {
	pools := c.pools()
	top := map[kmsg.Key]int16{}
	for _, api := range rewrite.Table() {
		lo, hi := api.Min, api.Max
		for _, p := range pools {
			if api.Local {
				break
			}
			v, ok := p.Versions(int16(api.Key))
			if !ok {
				lo, hi = 1, 0
				break
			}
			lo, hi = max(lo, v.Min), min(hi, v.Max)
		}
		if lo > hi {
			continue
		}
		if lo == api.Min {
			lo = api.Says
		}
		top[api.Key] = hi
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(api.Key), lo, hi
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if resp.Version >= 3 && len(pools) > 0 {
		addFeatures(resp, pools, top)
	}
}

// needs lists, for each feature that means something to a client, the keys
// without which it must not be seen; other features are the pool's own business.
var needs = map[string][]kmsg.Key{ //nolint:gochecknoglobals // read-only table
	"transaction.version": {kmsg.Produce, kmsg.EndTxn},
	"group.version":       {kmsg.ConsumerGroupHeartbeat, kmsg.ConsumerGroupDescribe},
	"share.version":       {kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe, kmsg.ShareFetch, kmsg.ShareAcknowledge},
	"streams.version":     {kmsg.StreamsGroupHeartbeat, kmsg.StreamsGroupDescribe},
}

// addFeatures passes the pool's features on (the lowest over several pools).
func addFeatures(resp *kmsg.ApiVersionsResponse, pools []*upstream.Pool, top map[kmsg.Key]int16) {
	common := map[string]upstream.Feature{}
	for i, p := range pools {
		features, epoch := p.Features()
		seen := map[string]upstream.Feature{}
		for _, f := range features {
			if was, ok := common[f.Name]; ok {
				f.Min, f.Max, f.Level = max(f.Min, was.Min), min(f.Max, was.Max), min(f.Level, was.Level)
			}
			if _, ok := common[f.Name]; i == 0 || ok {
				seen[f.Name] = f
			}
		}
		common, resp.FinalizedFeaturesEpoch = seen, epoch
	}
	for name, keys := range needs {
		f, ok := common[name]
		for _, k := range keys {
			_, has := top[k]
			ok = ok && has
		}
		if !ok {
			continue
		}
		// Java turns transactions v2 (KIP-890) on from the feature alone.
		if name == "transaction.version" && (top[kmsg.Produce] < 12 || top[kmsg.EndTxn] < 5 || top[kmsg.TxnOffsetCommit] < 5) {
			f.Max, f.Level = min(f.Max, 1), min(f.Level, 1)
		}
		s := kmsg.NewApiVersionsResponseSupportedFeature()
		s.Name, s.MinVersion, s.MaxVersion = name, f.Min, f.Max
		resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		if f.Level > 0 {
			l := kmsg.NewApiVersionsResponseFinalizedFeature()
			l.Name, l.MinVersionLevel, l.MaxVersionLevel = name, f.Min, f.Level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, l)
		}
	}
}
