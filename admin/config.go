package admin

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
	"weir/upstream"
)

// Config of the management face.
type Config struct {
	Store     *tenancy.Store
	Directory *tenancy.Directory
	Pools     map[string]*upstream.Pool
	Gatherer  prometheus.Gatherer
	Log       *slog.Logger
	Now       func() time.Time // time.Now if nil
	Rand      io.Reader        // crypto/rand if nil
	// TokenKey signs and verifies bearer tokens (HS256), at least 32 bytes.
	TokenKey []byte
	// Plans that instances may have, the first is the default.
	Plans []string
	// DefaultPool is where new instances are placed.
	DefaultPool string
	// Endpoints are the bootstrap addresses (host:port) at which an instance is reached.
	Endpoints func(tenancy.InstanceID) []string
	// Username is what a client must send: the user itself with SNI, user@instance without.
	Username   func(tenancy.InstanceID, string) string
	Mechanisms []string
	// CA is the PEM certificate that clients must trust, empty if a public one.
	CA []byte
	// Ready says what keeps this gateway from serving; nil if nothing.
	Ready   func() error
	Version string
}

// New returns the REST API, /metrics, /healthz and /readyz.
func New(cfg Config) (http.Handler, error) { panic("stub") }
