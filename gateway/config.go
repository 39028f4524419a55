package gateway

import (
	"time"

	"weir/billing"
)

// Config is weir.yaml. Every key below is spelled in the file as its yaml tag
// says; durations are texts like "10s"; a secret is never a value but the name
// of a file that holds it (one trailing newline is dropped). Relative file
// names count from the folder of the configuration file. Made by Load.
type Config struct {
	// Redis holds all state that gateways share.
	Redis RedisConfig `yaml:"redis"`
	// Pools are the Kafka clusters behind the gateway. At least one.
	Pools []PoolConfig `yaml:"pools"`
	// DefaultPool is where new instances are placed. Optional with one pool.
	DefaultPool string `yaml:"default_pool"`
	// Plans that instances may have; the first is the default. Optional; one named
	// standard if empty.
	Plans []PlanConfig `yaml:"plans"`
	// Listeners are where Kafka clients arrive. At least one.
	Listeners []ListenerConfig `yaml:"listeners"`
	// Admin is the management face: REST, metrics, health.
	Admin AdminConfig `yaml:"admin"`
	// Auth is about how Kafka clients prove who they are.
	Auth AuthConfig `yaml:"auth"`
	// Secrets is about what gateways keep in Redis and must be able to read again.
	Secrets SecretsConfig `yaml:"secrets"`
	// Limits bound what one client, or all together, can make the gateway hold.
	Limits LimitsConfig `yaml:"limits"`
	// Zone is where this gateway stands, as the brokers of the pools say it of themselves
	// (broker.rack). Bytes between it and brokers of other zones are counted as
	// cross_zone_bytes. Optional; nothing is if empty.
	Zone string `yaml:"zone"`
	// Metering is about counting what instances use.
	Metering MeteringConfig `yaml:"metering"`
	// Billing is about what usage costs.
	Billing BillingConfig `yaml:"billing"`
	// Drain is how a stop treats open connections.
	Drain DrainConfig `yaml:"drain"`
	// Log goes to standard error.
	Log LogConfig `yaml:"log"`

	// dir is the folder of the file, against which relative names are resolved.
	dir string
}

// PlanConfig is what instances of one plan have in common.
type PlanConfig struct {
	// Name by which instances refer to the plan; never change it, and keep the plan
	// for as long as instances have it.
	Name string `yaml:"name"`
	// ACLDefault is what holds for a resource of which no ACL of the instance
	// speaks: allow (Kafka's allow.everyone.if.no.acl.found) or deny. Optional;
	// allow if empty, and for instances of a plan that is not listed.
	ACLDefault string `yaml:"acl_default"`
	// NetworkDefault is from where an instance without networks may be reached:
	// allow (from everywhere) or deny (from nowhere). Optional; allow if empty, and
	// for instances of a plan that is not listed.
	NetworkDefault string `yaml:"network_default"`
	// Limits of each instance of the plan, over all gateways together. Optional; what
	// is absent is not bounded, and nothing is for instances of a plan that is not
	// listed. `+"`weir plan set`"+` changes them while gateways run, and then counts in
	// place of the value here; the file should be the same on every gateway.
	Limits PlanLimitsConfig `yaml:"limits"`
	// Prices of what each instance of the plan uses, in each calendar month (UTC).
	// Optional; nothing is billed if absent. weir plan prices set changes them from a
	// month on, and counts then in place of what is here; a month that was invoiced keeps
	// its prices. The file should be the same on every gateway.
	Prices *billing.Prices `yaml:"prices"`
}

// RedisConfig says where Redis is: url, or addrs with master or cluster.
type RedisConfig struct {
	// URL is redis://host:port/db, rediss:// (TLS), redis-sentinel://host:port,host:port/master
	// or redis-cluster://host:port,host:port. No password in it: password_file.
	URL string `yaml:"url"`
	// Addrs are Sentinels (with master) or nodes of a cluster, host:port.
	Addrs []string `yaml:"addrs"`
	// Master is the name that the Sentinels know the Redis by.
	Master string `yaml:"master"`
	// Username of Redis's ACL. Optional.
	Username string `yaml:"username"`
	// PasswordFile holds the password. Optional.
	PasswordFile string `yaml:"password_file"`
	// TLS towards Redis. Optional; plaintext if absent and the URL does not say rediss.
	TLS *ClientTLSConfig `yaml:"tls"`
}

// ClientTLSConfig is TLS where the gateway is the client. TLS 1.2 or newer, the
// server's name is always verified.
type ClientTLSConfig struct {
	// CAFile holds the PEM certificates to trust. Optional; the system's if empty.
	CAFile string `yaml:"ca_file"`
	// ServerName is the name to verify. Optional; the host that is dialed if empty.
	ServerName string `yaml:"server_name"`
	// CertificateFile and KeyFile are shown to the server (mTLS). Optional, both or none.
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
}

// PoolConfig is one Kafka cluster.
type PoolConfig struct {
	// Name by which instances refer to the pool; never change it.
	Name string `yaml:"name"`
	// Bootstrap brokers, host:port. At least one.
	Bootstrap []string `yaml:"bootstrap"`
	// TLS towards the brokers. Optional; plaintext if absent.
	TLS *ClientTLSConfig `yaml:"tls"`
	// SASL is how the gateway logs in to the brokers. Optional.
	SASL *SASLConfig `yaml:"sasl"`
	// Identity is as whom clients' requests reach the brokers: gateway (as the one
	// user of sasl) or instance (each instance has a user weir-<instance id> of its
	// own, with ACLs on its own names: a second wall, of the brokers'). instance
	// needs sasl, secrets.key_files, an authorizer and SCRAM-SHA-512 on the brokers,
	// and that the user of sasl may ALTER the cluster. Optional; gateway if empty.
	Identity string `yaml:"identity"`
	// DialTimeout bounds TCP, TLS and SASL of one connection together. Optional; 10s if zero.
	DialTimeout time.Duration `yaml:"dial_timeout"`
}

// SASLConfig is a user of the pool that may do everything that its tenants may;
// never a super user, and without ClusterAction.
type SASLConfig struct {
	// Mechanism is PLAIN (only with tls), SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string `yaml:"mechanism"`
	Username  string `yaml:"username"`
	// PasswordFile holds the password.
	PasswordFile string `yaml:"password_file"`
}

// ListenerConfig is one address at which Kafka clients arrive.
type ListenerConfig struct {
	// Address to bind, host:port; an empty host is every address.
	Address string `yaml:"address"`
	// Advertise is the bootstrap address that people are told, host:port. Needed
	// only without sni, and there only if address does not name a host.
	Advertise string `yaml:"advertise"`
	// ReusePort lets several gateway processes of one host share the address
	// (SO_REUSEPORT), for a restart without a gap. Optional.
	ReusePort bool `yaml:"reuse_port"`
	// TLS of this listener. Exactly one of tls and plaintext.
	TLS *ServerTLSConfig `yaml:"tls"`
	// Plaintext serves SASL_PLAINTEXT: passwords readable on the wire. For
	// loopback, or behind something that ends TLS.
	Plaintext bool `yaml:"plaintext"`
	// SNI routes by host name on this one port. Needs tls and a certificate for *.domain.
	SNI *SNIConfig `yaml:"sni"`
	// Brokers opens one more port per broker, for clients that send no host name. Optional.
	Brokers []BrokersConfig `yaml:"brokers"`
	// ProxyProtocol reads the PROXY protocol, versions 1 and 2, on this port and
	// those of brokers: where load balancers in front say who the client is. A
	// header on a listener without it closes the connection. Optional.
	ProxyProtocol *ProxyProtocolConfig `yaml:"proxy_protocol"`
}

// ProxyProtocolConfig is which load balancers are believed. What they say decides
// about networks and ACLs of instances, so list only addresses from which nobody
// else can connect.
type ProxyProtocolConfig struct {
	// From are the ranges that load balancers connect from, as 10.0.8.0/24. At least
	// one. A header from anywhere else closes the connection.
	From []string `yaml:"from"`
	// Mode is required (every connection comes from a load balancer and begins with a
	// header) or allowed (clients may connect directly too). Optional; required if empty.
	Mode string `yaml:"mode"`
	// Endpoint is where load balancers name the private endpoint that a client came
	// through, beside the ways of AWS, Azure and GCP, which are known. Optional.
	Endpoint *EndpointConfig `yaml:"endpoint"`
}

// EndpointConfig is a TLV of the PROXY protocol version 2 that holds an endpoint's id.
type EndpointConfig struct {
	// Cloud is the name by which networks of instances speak of these endpoints; not
	// aws, azure or gcp.
	Cloud string `yaml:"cloud"`
	// Type of the TLV, 1 to 255, as 0xE5.
	Type string `yaml:"type"`
	// Offset at which the id begins in the TLV's value, in bytes. Optional.
	Offset int `yaml:"offset"`
	// Form of the id: text (printable ASCII up to the end of the TLV), uint32 or uint64
	// (big endian, shown in decimal). Optional; text if empty.
	Form string `yaml:"form"`
}

// ServerTLSConfig is TLS where the gateway is the server. The files are looked
// at every 10 s; a new pair is used from the next handshake on.
type ServerTLSConfig struct {
	// CertificateFile holds the PEM chain, leaf first.
	CertificateFile string `yaml:"certificate_file"`
	// KeyFile holds its PEM key.
	KeyFile string `yaml:"key_file"`
}

// SNIConfig is routing by host name.
type SNIConfig struct {
	// Domain under which instances are reached: <instance>.<domain>.
	Domain string `yaml:"domain"`
	// Port that clients are told. Optional; that of address if zero.
	Port int `yaml:"port"`
}

// BrokersConfig gives each broker of a pool a port of its own: the n-th of
// nodes is reached at host on port first_port + n, counted from 0, and the
// gateway binds these ports on the host of the listener's address.
type BrokersConfig struct {
	// Pool that the nodes are of.
	Pool string `yaml:"pool"`
	// Host that clients are told.
	Host string `yaml:"host"`
	// FirstPort is the port of the first node.
	FirstPort int `yaml:"first_port"`
	// Nodes are the brokers' node ids (node.id). At least one.
	Nodes []int `yaml:"nodes"`
}

// AdminConfig is the management face. Keep it off the public network.
type AdminConfig struct {
	// Address to bind, host:port.
	Address string `yaml:"address"`
	// TLS of the management face. Optional; plain HTTP if absent.
	TLS *ServerTLSConfig `yaml:"tls"`
	// TokenKeyFile holds the key that signs bearer tokens, at least 32 bytes, the same on every gateway.
	TokenKeyFile string `yaml:"token_key_file"`
	// ClientCAFile is the PEM certificate that clients are told to trust. Optional; for a private CA.
	ClientCAFile string `yaml:"client_ca_file"`
}

// AuthConfig is about how Kafka clients prove who they are.
type AuthConfig struct {
	// PepperFile holds a secret of at least 16 bytes, the same on every gateway,
	// that makes unknown users look like known ones.
	PepperFile string `yaml:"pepper_file"`
	// Issuers are the OAuth 2.0 authorization servers that tenants may believe, and
	// the only addresses from which keys of tokens are fetched. Optional; without
	// any, OAUTHBEARER is not offered.
	Issuers []IssuerConfig `yaml:"issuers"`
}

// IssuerConfig allows tenants an issuer, or all below an address.
type IssuerConfig struct {
	// URL of the issuer, as the iss of its tokens; or the beginning of such URLs, if
	// it ends in "/". https; http only for a loopback address that private has.
	URL string `yaml:"url"`
	// JWKS are further addresses at which its keys may be, in the same form.
	// Optional; those below url may be used anyway.
	JWKS []string `yaml:"jwks"`
	// CAFile holds the PEM certificates to trust. Optional; the system's if empty.
	CAFile string `yaml:"ca_file"`
	// Private are ranges of addresses that are not public and may be dialed for it.
	// Optional; nothing private, local or of a cloud's metadata is dialed otherwise.
	Private []string `yaml:"private"`
	// ClockSkew is how far its clock may be ahead. Optional; 30s if zero.
	ClockSkew time.Duration `yaml:"clock_skew"`
}

// SecretsConfig is about secrets in Redis: the keys of instances' own
// certificates, and broker passwords of instances.
type SecretsConfig struct {
	// KeyFiles hold keys of at least 32 bytes, the same on every gateway. The first
	// seals, all open: to change the key, put the new one first and keep the old.
	// Optional; without it there are no such secrets.
	KeyFiles []string `yaml:"key_files"`
}

// LimitsConfig bounds clients. Zero means the default.
type LimitsConfig struct {
	// HandshakeTimeout is how long a connection may take until it is authenticated. 10s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// MaxHandshakes is how many connections may be unauthenticated at once; then
	// the address with most of them gives way. 1000.
	MaxHandshakes int `yaml:"max_handshakes"`
	// MaxFrameBytes bounds a request after authentication. 104857600 (100 MiB).
	MaxFrameBytes int `yaml:"max_frame_bytes"`
	// Memory is what requests and answers on their way may take in this process, of
	// all clients together, as 512MiB or 2GiB. As it fills, the gateway does less at
	// once and is fair about it (docs/overload.md). Optional; 60 % of what the process
	// may use, which is the least of the machine's memory and its control group's.
	Memory Bytes `yaml:"memory"`
	// UpstreamIdle is after how long without a request a client's broker
	// connection is closed; the client stays connected. 1m.
	UpstreamIdle time.Duration `yaml:"upstream_idle"`
	// MaxReauth is after how long clients must authenticate again (KIP-368). Never if zero.
	MaxReauth time.Duration `yaml:"max_reauth"`
	// AutoCreateTopics lets clients create a topic by naming it, as
	// auto.create.topics.enable does on a broker (which must be off in the pools). false.
	AutoCreateTopics bool `yaml:"auto_create_topics"`
}

// DrainConfig is how a stop treats open connections (SIGTERM; a second one
// ends the drain at once).
type DrainConfig struct {
	// Grace is how long connections are still accepted, so that load balancers notice. 5s.
	Grace time.Duration `yaml:"grace"`
	// Spread is over how long open connections are then closed, each after its exchange in flight. 30s.
	Spread time.Duration `yaml:"spread"`
}

// LogConfig is about the log.
type LogConfig struct {
	// Level is debug, info, warn or error. Optional; info if empty.
	Level string `yaml:"level"`
	// Format is text or json. Optional; text on a terminal, else json.
	Format string `yaml:"format"`
}
