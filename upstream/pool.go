package upstream

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Config of one pool.
type Config struct {
	Name      string
	Bootstrap []string       // host:port
	TLS       *tls.Config    // nil: plaintext
	SASL      sasl.Mechanism // nil: none (franz-go's pkg/sasl/plain, scram)
	// Dial is net.Dialer.DialContext if nil.
	Dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	DialTimeout time.Duration // TCP, TLS and SASL together; 10s if zero
	// MetadataMaxAge is how often brokers, versions and features are refreshed; 30s if zero.
	MetadataMaxAge time.Duration
	Log            *slog.Logger
}

// Pool is one physical Kafka cluster. Any goroutine.
type Pool struct{}

// NewPool checks cfg; Run connects.
func NewPool(cfg Config) (*Pool, error) { panic("stub") }

// Run keeps brokers, versions and health fresh until ctx ends.
func (p *Pool) Run(ctx context.Context) error { panic("stub") }

// Ready is closed once brokers and versions are known.
func (p *Pool) Ready() <-chan struct{} { panic("stub") }

// Name of the pool.
func (p *Pool) Name() string { panic("stub") }

// Broker is one broker of the pool, at its physical address.
type Broker struct {
	Node int32
	Host string
	Port int32
	Rack *string
}

// Brokers are the live brokers in order of node id, from the newest metadata.
func (p *Pool) Brokers() []Broker { panic("stub") }

// ClusterID is the pool's own (physical) cluster id; it must never reach a client.
func (p *Pool) ClusterID() string { panic("stub") }

// Controller is the node the brokers name as controller, -1 if unknown.
func (p *Pool) Controller() int32 { panic("stub") }

// VersionRange is the versions of one API key, both inclusive.
type VersionRange struct{ Min, Max int16 }

// Versions of a key that every broker of the pool speaks; ok is false if one does not know the key.
func (p *Pool) Versions(key int16) (VersionRange, bool) { panic("stub") }

// Feature is a finalized feature of the pool.
type Feature struct {
	Name     string
	Min, Max int16 // supported by every broker
	Level    int16 // finalized; 0 if not
}

// Features of the pool and the epoch of the finalized ones (-1 if unknown).
func (p *Pool) Features() (features []Feature, epoch int64) { panic("stub") }

// Conn is an authenticated connection to one broker, owned by who dialed it.
type Conn struct {
	net.Conn
	Node    int32
	Expires time.Time // when the broker will demand re-authentication (KIP-368); zero: never
}

// AnyNode lets Dial choose a healthy broker.
const AnyNode int32 = -1

// Dial connects and authenticates to one broker. A broker that does not answer
// costs its own callers at most DialTimeout and nobody else anything.
func (p *Pool) Dial(ctx context.Context, node int32) (*Conn, error) { panic("stub") }

// Request sends one request to any healthy broker (or the right coordinator or controller) over the
// gateway's own control connection and returns the answer. Not for the data path. Does not follow request version: the newest common one is used.
func (p *Pool) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) { panic("stub") }

// TopicNames returns the physical names of those ids that exist; the pool is
// asked (at most once at a time, rate-limited) only for ids that are not known yet.
func (p *Pool) TopicNames(ctx context.Context, ids [][16]byte) map[[16]byte]string { panic("stub") }

// LearnTopic records that id is name, as seen in an answer of a broker.
func (p *Pool) LearnTopic(id [16]byte, name string) { panic("stub") }

// ListTopics returns the names of the topics that begin with prefix, sorted, asked from the pool now.
func (p *Pool) ListTopics(ctx context.Context, prefix string) ([]string, error) { panic("stub") }

// Purge deletes every topic and group whose name begins with prefix. It may be
// interrupted and called again. Groups with live members are emptied first.
func (p *Pool) Purge(ctx context.Context, prefix string) error { panic("stub") }
