package proxy

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/auth"
	"weir/metering"
	"weir/proxy/rewrite"
	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

// Config of the face that Kafka clients see.
type Config struct {
	Directory *tenancy.Directory
	Auth      *auth.Authenticator
	Store     rewrite.Store             // for keys that manage users, ACLs and quotas
	Pools     map[string]*upstream.Pool // by name
	Quota     *quota.Limiter            // nil: nobody is held to anything
	Leases    Leases                    // nil: this is the only gateway
	Usage     *metering.Book            // nil: what instances use is not counted
	Breakdown Breakdown                 // of what is counted
	Zone      string                    // this gateway's, as brokers' racks are called; "": not known
	// Sealer opens the keys of instances' own certificates and the passwords of
	// their principals. nil: there are none.
	Sealer *tenancy.Sealer
	// MissingIdentity is told of instances whose principal the pool does not let
	// in, or that have none. It must not block. Optional.
	MissingIdentity func(tenancy.InstanceID)
	Refusals        RefusalKeeper // keeps refused connections; nil: nobody does
	Gateway         string        // this process, in what Refusals keeps
	Registry        prometheus.Registerer
	Log             *slog.Logger
	Listeners       []Listener

	// HandshakeTimeout is how long a connection may take, in all, until it is
	// authenticated. 10s if zero.
	HandshakeTimeout time.Duration
	// MaxHandshakes is how many connections may be unauthenticated at once in
	// this process. For one more, the oldest from the address that has most of
	// them is closed, or that one itself. 1000 if zero.
	MaxHandshakes int
	// MaxFrameBytes bounds a request after authentication; 100 MiB (Kafka's
	// socket.request.max.bytes) if zero.
	MaxFrameBytes int
	// Memory is how many bytes frames may take in this process, of all clients
	// together. As it fills, less is done at once (docs/overload.md). 0: no bound.
	Memory int64
	// FrameGrace is how long a request may take to arrive once it has begun,
	// beyond one second for each 32 KiB of it. 30s if zero.
	FrameGrace time.Duration
	// UpstreamIdle is after how long without a request a client's broker
	// connection is closed; the client stays connected. 1m if zero.
	UpstreamIdle time.Duration
	// MaxReauth bounds a session's lifetime (KIP-368); clients re-authenticate
	// before it ends. 0: no bound.
	MaxReauth time.Duration
	// AutoCreateTopics lets a Metadata request create topics that are missing,
	// as auto.create.topics.enable does on a broker. The pool itself must not.
	AutoCreateTopics bool
	// DrainGrace is how long connections are still accepted after a drain has
	// begun, and DrainSpread over how long the open ones are then closed, each
	// after the exchange in flight. 5s and 30s if zero.
	DrainGrace, DrainSpread time.Duration
}

// Listener is one address on which Kafka clients arrive.
type Listener struct {
	Address string // host:port to bind
	// ReusePort lets several gateway processes of one host share the address
	// (SO_REUSEPORT), for rolling restarts.
	ReusePort bool
	// TLS is nil for SASL_PLAINTEXT, which is for loopback and tests.
	TLS *tls.Config
	// Balancers are the load balancers in front; nil: clients connect directly.
	Balancers *Balancers
	// SNI routes by the host name of the TLS handshake, to instances' own host names
	// too; nil: off.
	SNI *SNI
	// Node is the one broker of Pool that this address stands for; AnyNode is a
	// bootstrap address. Only without SNI in the handshake.
	Node int32
	// Pool is the pool that Node is of. Empty on a bootstrap address: any pool.
	Pool string
	// Ports are the broker addresses that clients arriving here without SNI are given.
	Ports map[string]map[int32]HostPort // pool → node → advertised address
}

// SNI is routing by host name: <instance>.<Domain> is the bootstrap of an
// instance and b<node>-<instance>.<Domain> its broker.
type SNI struct {
	Domain string // without a leading dot
	Port   int32  // the port clients are told; that of Address if 0
}

// HostPort is an address that clients are told.
type HostPort struct {
	Host string
	Port int32
}

// AnyNode marks a bootstrap address.
const AnyNode = upstream.AnyNode
