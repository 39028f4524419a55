package upstream

import (
	"net"
	"slices"
	"strconv"
)

// Broker is one broker of the pool, at its physical address.
type Broker struct {
	Node int32
	Host string
	Port int32
	Rack *string
}

func (b Broker) addr() string { return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))) }

// snapshot is all that is known of a pool at one moment. Immutable.
type snapshot struct {
	clusterID  string
	controller int32
	brokers    []Broker // by node id
	versions   map[int16]VersionRange
	features   []Feature // by name
	epoch      int64
}

func (s *snapshot) broker(node int32) (Broker, bool) {
	if s == nil {
		return Broker{}, false
	}
	i, ok := slices.BinarySearchFunc(s.brokers, node, func(b Broker, node int32) int { return int(b.Node) - int(node) })
	if !ok {
		return Broker{}, false
	}
	return s.brokers[i], true
}

// Broker is the live broker of that id, as Brokers.
func (p *Pool) Broker(node int32) (Broker, bool) { return p.snap.Load().broker(node) }

// Brokers are the live brokers in order of node id, from the newest metadata;
// empty before Ready. A broker that is listed may still be down (see Health).
// The slice is shared: read only.
func (p *Pool) Brokers() []Broker {
	if s := p.snap.Load(); s != nil {
		return s.brokers
	}
	return nil
}

// ClusterID is the pool's own (physical) cluster id; it must never reach a client.
func (p *Pool) ClusterID() string {
	if s := p.snap.Load(); s != nil {
		return s.clusterID
	}
	return ""
}

// Controller is the node the brokers name as controller, -1 if unknown.
func (p *Pool) Controller() int32 {
	if s := p.snap.Load(); s != nil {
		return s.controller
	}
	return -1
}

// Versions of a key that every broker of the pool speaks; ok is false if one
// does not know the key, or nothing is known yet. A broker that has never
// answered does not count; one that fell silent counts with its last answer.
func (p *Pool) Versions(key int16) (VersionRange, bool) {
	s := p.snap.Load()
	if s == nil {
		return VersionRange{}, false
	}
	v, ok := s.versions[key]
	return v, ok
}

// Features of the pool in order of name, and the epoch of the finalized ones
// (-1 if unknown). The slice is shared: read only.
func (p *Pool) Features() (features []Feature, epoch int64) {
	s := p.snap.Load()
	if s == nil {
		return nil, -1
	}
	return s.features, s.epoch
}
