package admin

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/admin/api"
	"weir/auth"
	"weir/billing/export"
	"weir/tenancy"
)

// Config of the management face.
type Config struct {
	Store     *tenancy.Store
	Directory *tenancy.Directory
	Pools     map[string]Pool // by name
	Issuers   Issuers
	// Identities are the instances' principals in pools that want them; nil: none do.
	Identities *Identities
	Throttles  Throttles // nil: nobody is throttled
	Gatherer   prometheus.Gatherer
	Log        *slog.Logger
	Now        func() time.Time // time.Now if nil
	Rand       io.Reader        // crypto/rand if nil
	Secrets    Secrets
	Billing    *Billing
	// TokenKey signs and verifies bearer tokens (HS256), at least 32 bytes.
	TokenKey []byte
	// Plans that instances may have, the first is the default.
	Plans []string
	// PlanLimits are what the file bounds, by plan; what was set in the store counts in
	// its place.
	PlanLimits map[string]tenancy.Limits
	// Usage says what instances use; optional.
	Usage Usage
	// Metered is what was used, Exports makes files of it; both nil: nothing is metered.
	Metered export.Records
	Exports *export.Exporter
	// Breakdown is by what else than instances usage is counted: user, topic.
	Breakdown []string
	// Chains are the chains of records of what was used; nil: nothing is metered.
	Chains Chains
	// Defaults are what a plan says where an instance says nothing, auth's; the zero
	// Defaults for every plan if nil.
	Defaults func(plan string) auth.Defaults
	// DefaultPool is where new instances are placed.
	DefaultPool string
	// Endpoints are the bootstrap addresses (host:port) at which an instance is reached.
	Endpoints func(tenancy.InstanceID) []string
	// HostEndpoints are the bootstrap addresses at a host name of an instance's own;
	// none where no names are routed by. Optional.
	HostEndpoints func(host string) []string
	// OwnNames are the gateway's own hosts and domains, of which no instance can have
	// one, nor one under or above it.
	OwnNames []string
	// Sealer seals what gateways must be able to read again, such as the keys of
	// certificates; nil if no key for that is configured.
	Sealer *tenancy.Sealer
	// Username is what a client must send: the user itself with SNI, user@instance without.
	Username func(tenancy.InstanceID, string) string
	// Mechanisms that clients may use, the recommended one first.
	Mechanisms []string
	// Plaintext is whether the endpoints are SASL_PLAINTEXT; SASL_SSL otherwise.
	Plaintext bool
	// CA is the PEM certificate that clients must trust, empty if a public one.
	CA []byte
	// Explain says what a reason for refusing a connection means and what to do about
	// it. Optional.
	Explain func(api.Refusal) api.Refusal
	// Ready says what keeps this gateway from serving; nil if nothing.
	Ready func() error
	// Version of Weir, in /openapi.json.
	Version string
}

// check reports everything that is wrong, by field.
func (c Config) check() error {
	var errs []error
	missing := func(field string, is bool) {
		if is {
			errs = append(errs, fmt.Errorf("admin.%s: missing", field))
		}
	}
	missing("Store", c.Store == nil)
	missing("Directory", c.Directory == nil)
	missing("Issuers", c.Issuers == nil)
	missing("Secrets", c.Secrets == nil)
	missing("Billing", c.Billing == nil)
	missing("Gatherer", c.Gatherer == nil)
	missing("Log", c.Log == nil)
	missing("Plans", len(c.Plans) == 0)
	missing("Endpoints", c.Endpoints == nil)
	missing("Username", c.Username == nil)
	missing("Mechanisms", len(c.Mechanisms) == 0)
	missing("Ready", c.Ready == nil)
	if _, ok := c.Pools[c.DefaultPool]; !ok {
		errs = append(errs, fmt.Errorf("admin.DefaultPool: there is no pool %q", c.DefaultPool))
	}
	if len(c.TokenKey) < minTokenKey {
		errs = append(errs, fmt.Errorf("admin.TokenKey: has %d bytes, at least %d are needed", len(c.TokenKey), minTokenKey))
	}
	return errors.Join(errs...)
}

// server is the management face. All fields are immutable after New; any goroutine.
type server struct {
	cfg    Config
	tokens *verifier
	limit  *limiter
	routes *http.ServeMux // everything that needs a token
}

// New returns the REST API, /metrics, /healthz and /readyz. The caller sets the
// time-outs of the http.Server around it (Harden).
func New(cfg Config) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Defaults == nil {
		cfg.Defaults = func(string) auth.Defaults { return auth.Defaults{} }
	}
	if cfg.Explain == nil {
		cfg.Explain = func(r api.Refusal) api.Refusal { return r }
	}
	cfg.Rand = cmp.Or(cfg.Rand, rand.Reader)
	s := &server{cfg: cfg, tokens: newVerifier(cfg.TokenKey, cfg.Now), limit: newLimiter(cfg.Now)}
	return s.handler()
}

// Harden sets the limits of the server in front of the handler of New: a slow
// or silent client costs one goroutine for some seconds and 64 KiB of headers.
func Harden(srv *http.Server) {
	srv.ReadHeaderTimeout = 5 * time.Second
	srv.ReadTimeout = 15 * time.Second  // 1 MiB of body within the rest
	srv.WriteTimeout = 60 * time.Second // a long /metrics over a slow line
	srv.IdleTimeout = 2 * time.Minute
	srv.MaxHeaderBytes = 64 << 10 // a token has at most 8 KiB
}
