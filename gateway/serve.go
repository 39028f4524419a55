package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/sync/errgroup"

	"weir/admin"
	"weir/proxy"
	"weir/upstream"
)

// adminGrace is how long REST requests in flight may take at a stop.
const adminGrace = 5 * time.Second

// Serve runs a gateway until ctx ends, then drains; now, when closed, ends the
// drain at once. It returns nil after an orderly stop, else what failed.
func Serve(ctx context.Context, cfg *Config, log io.Writer, version string, now <-chan struct{}) (err error) {
	logger := newLogger(cfg.Log, log)
	redis.SetLogger(redisLog{logger}) // the library has one for the whole process
	cfg.warnOpenSecrets(logger)
	limitHeap(logger)
	a, err := cfg.assemble(logger, version)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.rdb.Close()) }()
	p, err := compose(ctx, *a)
	if err != nil {
		return err
	}
	logger.Info("gateway started", "version", version, "kafka", p.proxy.Addrs(), "admin", p.adminAt.Addr().String())
	err = p.run(ctx, now)
	logger.Info("gateway stopped")
	return err
}

// assemble reads every file that the configuration names.
func (c *Config) assemble(log *slog.Logger, version string) (*assembly, error) {
	a := &assembly{
		log: log, version: version, adminAddress: c.Admin.Address,
		proxy: proxy.Config{
			HandshakeTimeout: c.Limits.HandshakeTimeout, MaxHandshakes: c.Limits.MaxHandshakes,
			MaxFrameBytes: c.Limits.MaxFrameBytes, Memory: c.memory(), UpstreamIdle: c.Limits.UpstreamIdle,
			MaxReauth: c.Limits.MaxReauth, AutoCreateTopics: c.Limits.AutoCreateTopics,
			DrainGrace: c.Drain.Grace, DrainSpread: c.Drain.Spread, Zone: c.Zone,
		},
		metering: c.Metering.settings(c.dir),
		admin:    admin.Config{Plans: planNames(c.Plans), DefaultPool: c.DefaultPool}, defaults: planDefaults(c.Plans), plans: planFile(c.Plans),
		prices: planPrices(c.Plans), issuer: c.Billing.Issuer,
	}
	var err error
	if a.sealer, err = c.sealer(); err != nil {
		return nil, err
	}
	if a.issuers, err = c.issuers(); err != nil {
		return nil, err
	}
	if a.pepper, err = readSecret(c.dir, c.Auth.PepperFile); err != nil {
		return nil, err
	}
	if a.admin.TokenKey, err = readSecret(c.dir, c.Admin.TokenKeyFile); err != nil {
		return nil, err
	}
	if c.Admin.ClientCAFile != "" {
		if a.admin.CA, err = os.ReadFile(resolve(c.dir, c.Admin.ClientCAFile)); err != nil {
			return nil, err
		}
	}
	if t := c.Admin.TLS; t != nil {
		if a.adminTLS, err = loadKeyPair(resolve(c.dir, t.CertificateFile), resolve(c.dir, t.KeyFile), log); err != nil {
			return nil, err
		}
	}
	for i := range c.Pools {
		pool, err := c.Pools[i].upstream(c.dir)
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", c.Pools[i].Name, err)
		}
		a.pools = append(a.pools, pool)
	}
	if a.faces, err = c.faces(log); err != nil {
		return nil, err
	}
	a.rdb, err = c.Redis.client(c.dir)
	return a, err
}

func (p *PoolConfig) upstream(dir string) (upstream.Config, error) {
	out := upstream.Config{Name: p.Name, Bootstrap: p.Bootstrap, DialTimeout: p.DialTimeout, PerInstance: p.Identity == identityInstance}
	var err error
	if p.TLS != nil {
		if out.TLS, err = p.TLS.config(dir); err != nil {
			return out, err
		}
	}
	if p.SASL != nil {
		out.SASL, err = p.SASL.mechanism(dir)
	}
	return out, err
}

func (s *SASLConfig) mechanism(dir string) (sasl.Mechanism, error) {
	password, err := readSecret(dir, s.PasswordFile)
	if err != nil {
		return nil, err
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.Username, Pass: string(password)}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.Username, Pass: string(password)}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.Username, Pass: string(password)}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("sasl.mechanism: %q is unknown", s.Mechanism)
}

// run serves until ctx ends or a component fails, and stops in the order
// opposite to the start: readiness, Kafka clients, REST, then what exchanges in
// flight still needed, and at last what counts them. It returns the first failure.
func (p *process) run(ctx context.Context, now <-chan struct{}) error {
	outlasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var last errgroup.Group
	for _, c := range p.last {
		last.Go(func() error {
			if err := c.run(outlasting); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		})
	}
	err := p.serve(ctx, now)
	end()
	return errors.Join(err, last.Wait())
}

// serve is run without what comes last.
func (p *process) serve(ctx context.Context, now <-chan struct{}) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, background := errgroup.WithContext(background)
	faces, stopFaces := context.WithCancel(ctx)
	defer stopFaces()
	defer context.AfterFunc(background, stopFaces)() // a component failed
	defer context.AfterFunc(faces, func() { p.draining.Store(true) })()

	for _, c := range p.background {
		group.Go(func() error {
			if err := c.run(background); err != nil && background.Err() == nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		defer stop()
		return p.serveFaces(faces, now)
	})
	return group.Wait()
}

// serveFaces serves REST from the start, for /healthz and /readyz, and Kafka
// once there is somebody to serve. It returns when both have stopped.
func (p *process) serveFaces(ctx context.Context, now <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // without its management face the gateway stops
		served <- p.admin.Serve(p.adminAt)
	}()

	err := p.serveKafka(ctx, now)

	grace, done := context.WithTimeout(context.WithoutCancel(ctx), adminGrace)
	defer done()
	if p.admin.Shutdown(grace) != nil {
		err = errors.Join(err, p.admin.Close()) // requests that outlast adminGrace are cut
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("admin: %w", e))
	}
	return err
}

func (p *process) serveKafka(ctx context.Context, now <-chan struct{}) error {
	// Should ctx end while warming up, Serve still runs: it closes the listeners.
	if err := p.warmUp(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	if err := p.proxy.Serve(ctx, now); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("kafka listeners: %w", err)
	}
	return nil
}
