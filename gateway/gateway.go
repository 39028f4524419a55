package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"weir/admin"
	"weir/auth"
	"weir/billing"
	"weir/metering"
	"weir/proxy"
	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

// assembly is everything that differs between `weir serve` and `weir dev`.
type assembly struct {
	log     *slog.Logger
	version string
	gateway string // this process among all that share the Redis; "": drawn
	rdb     redis.UniversalClient
	pepper  []byte
	sealer  *tenancy.Sealer // nil: nothing is sealed
	issuers []auth.AllowedIssuer
	pools   []upstream.Config
	faces   *faces
	// defaults of plans are auth's; may be nil.
	defaults func(plan string) auth.Defaults
	plans    map[string]tenancy.Limits // what the file bounds, by the names of all plans
	prices   map[string]billing.Prices // by plan, of the file
	issuer   string                    // who writes the invoices
	metering meteringSettings

	proxy proxy.Config // limits only; compose fills the rest
	admin admin.Config // words only; compose fills the rest

	adminAddress string
	adminTLS     *keyPair // nil: plain HTTP
}

// process is a composed gateway: bound, but not serving until run.
type process struct {
	log       *slog.Logger
	rdb       redis.UniversalClient
	store     *tenancy.Store
	directory *tenancy.Directory
	pools     map[string]*upstream.Pool
	quota     *quota.Limiter
	counts    *metering.Store       // what is counted
	records   *metering.RecordStore // what is sealed of it
	held      *metering.Holding
	proxy     *proxy.Server
	admin     *http.Server
	adminAt   net.Listener

	// background is what runs beside the faces and longer than they do.
	background []component
	// last is what outlives that too, and every session.
	last     []component
	draining atomic.Bool
	warm     chan struct{} // closed by run once the directory and a pool are there
}

// component runs until ctx ends; an error before that stops the process.
type component struct {
	name string
	run  func(context.Context) error
}

// compose builds every component from the bottom up and binds every port, so
// that what can fail fails before anybody is served.
func compose(ctx context.Context, a assembly) (*process, error) {
	p := &process{log: a.log, rdb: a.rdb, pools: make(map[string]*upstream.Pool), warm: make(chan struct{})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	id := cmp.Or(a.gateway, gatewayID())
	p.store = tenancy.NewStore(a.rdb)
	p.directory = tenancy.NewDirectory(tenancy.DirectoryConfig{Store: p.store, Gateway: id, Log: a.log})
	purgers, pools, surveyed := make(map[string]admin.Purger), make(map[string]admin.Pool), make(map[string]admin.Surveyed)
	identified := make(map[string]admin.IdentityPool)
	for _, cfg := range a.pools {
		cfg.Log = a.log
		cfg.Owners = func() upstream.Owner { return p.directory.Owners(cfg.Name) }
		cfg.Sampled = func(h *upstream.Holdings) { p.sampled(cfg.Name, h) } // runs after compose
		pool, err := upstream.NewPool(cfg)
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", cfg.Name, err)
		}
		p.pools[cfg.Name], purgers[cfg.Name], pools[cfg.Name], surveyed[cfg.Name], identified[cfg.Name] = pool, pool, pool, pool, pool
		p.background = append(p.background, component{"pool " + cfg.Name, pool.Run})
	}
	identities := admin.NewIdentities(admin.IdentitiesConfig{
		Store: p.store, Directory: p.directory, Pools: identified, Sealer: a.sealer, Owner: id, Log: a.log,
	})
	reaper := admin.NewReaper(admin.ReaperConfig{
		Store: p.store, Directory: p.directory, Pools: purgers, Identities: identities, Owner: id, Log: a.log,
	})
	p.background = append(p.background, component{"directory", p.directory.Run},
		component{"reaper", reaper.Run}, component{"identities", identities.Run})
	survey := admin.Survey{Directory: p.directory, Pools: surveyed, Log: a.log}
	p.background = append(p.background, component{"survey", survey.Run})
	for _, pair := range a.faces.pairs {
		p.background = append(p.background, component{"certificates", pair.run})
	}

	a.proxy.Directory, a.proxy.Pools, a.proxy.Store, a.proxy.Sealer = p.directory, p.pools, p.store, a.sealer
	a.proxy.Auth = auth.New(auth.Config{Directory: p.directory, Log: a.log, Pepper: a.pepper, Defaults: a.defaults, Issuers: a.issuers})
	p.directory.Watch(a.proxy.Auth.Prepare)
	p.quota = p.limiter(a, id, registry)
	a.proxy.Quota, a.admin.Throttles = p.quota, p.quota
	a.proxy.Leases = p.store
	p.counts = metering.NewStore(metering.StoreConfig{Redis: a.rdb})
	p.records = metering.NewRecordStore(metering.RecordStoreConfig{Redis: a.rdb, Store: p.counts, Retention: a.metering.retention})
	book, err := p.counting(a, id, registry, p.sealing(a, id, registry))
	if err != nil {
		return nil, fmt.Errorf("metering: %w", err)
	}
	a.proxy.Usage, a.proxy.Breakdown = book, a.metering.breakdown
	a.proxy.MissingIdentity = identities.Wanted
	a.proxy.Registry, a.proxy.Log = registry, a.log
	a.proxy.Refusals, a.proxy.Gateway = p.store, id
	a.proxy.Listeners = a.faces.listeners

	a.admin.Store, a.admin.Directory, a.admin.Pools, a.admin.Identities = p.store, p.directory, pools, identities
	a.admin.Gatherer, a.admin.Log, a.admin.Version = registry, a.log, a.version
	a.admin.Issuers, a.admin.Secrets = a.proxy.Auth, a.proxy.Auth
	a.tellClients()
	a.admin.Billing = p.billing(a, p.records, id, registry)
	a.admin.PlanLimits, a.admin.Usage = a.plans, usage{p.quota, p.pools}
	a.admin.Explain = explain
	a.admin.Metered, a.admin.Exports, a.admin.Chains = p.records, p.exports(a), p.records
	a.admin.Breakdown = a.metering.names()
	a.admin.Ready = p.ready
	handler, err := admin.New(a.admin)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return p, p.bind(ctx, a, handler)
}

// tellClients lets the management face say how clients reach instances.
func (a *assembly) tellClients() {
	a.admin.Endpoints, a.admin.Username = a.faces.endpoints, a.faces.username
	a.admin.Sealer, a.admin.HostEndpoints, a.admin.OwnNames = a.sealer, a.faces.hostEndpoints, a.faces.names
	a.admin.Mechanisms = []string{auth.ScramSHA512, auth.ScramSHA256, auth.Plain} // the recommended one first
	a.admin.Plaintext, a.admin.Defaults = a.faces.plaintext, a.defaults
	if len(a.issuers) > 0 {
		a.admin.Mechanisms = append(a.admin.Mechanisms, auth.OAuthBearer)
	}
}

func (p *process) bind(ctx context.Context, a assembly, handler http.Handler) (err error) {
	if p.adminAt, err = new(net.ListenConfig).Listen(ctx, "tcp", a.adminAddress); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	p.admin = &http.Server{ //nolint:gosec // admin.Harden sets the time-outs
		Handler:  handler,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // scanners, mostly
	}
	admin.Harden(p.admin)
	if a.adminTLS != nil {
		p.background = append(p.background, component{"certificates", a.adminTLS.run})
		cfg := serverTLS(a.adminTLS.get)
		cfg.NextProtos = []string{"http/1.1"}
		p.adminAt = tls.NewListener(p.adminAt, cfg)
	}
	if p.proxy, err = proxy.New(a.proxy); err != nil {
		return errors.Join(fmt.Errorf("kafka listeners: %w", err), p.adminAt.Close())
	}
	return nil
}

// gatewayID is this process among all that share a Redis.
func gatewayID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), randomText(6))
}

// ready says what keeps the gateway from serving; nil if nothing (/readyz).
func (p *process) ready() error {
	select {
	case <-p.warm:
	default:
		return errors.New("starting: Redis or every pool has not answered yet")
	}
	if p.draining.Load() {
		return errors.New("draining: this gateway is being stopped")
	}
	return nil
}

// warmUp waits until somebody can be served: before the directory is loaded
// everybody would look unknown, which Kafka's clients take for final. One pool
// of several is enough, the tenants of the others wait for theirs.
func (p *process) warmUp(ctx context.Context) error {
	select {
	case <-p.directory.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.anyPool(ctx); err != nil {
		return err
	}
	close(p.warm)
	return nil
}

func (p *process) anyPool(ctx context.Context) error {
	var waiters sync.WaitGroup
	defer waiters.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := make(chan struct{}, len(p.pools))
	for _, pool := range p.pools {
		waiters.Go(func() {
			select {
			case <-pool.Ready():
				first <- struct{}{}
			case <-ctx.Done():
			}
		})
	}
	select {
	case <-first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
