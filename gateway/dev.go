package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"weir/admin"
	"weir/billing"
	"weir/proxy"
	"weir/tenancy"
	"weir/upstream"
)

// DevOptions are the flags of `weir dev`. Empty texts mean the defaults.
type DevOptions struct {
	DataDir string   // .weir
	Listen  string   // 127.0.0.1:9092; brokers on the ports after it; port 0: free ones
	Admin   string   // 127.0.0.1:9080; port 0: a free one
	Kafka   []string // bootstrap servers, plaintext; none: embedded brokers
	Redis   string   // URL; empty: an embedded Redis
	// Fresh removes what earlier runs left in DataDir/data first.
	Fresh bool
	// SampleUsage makes up what demo used in the last two months and in this one. For a
	// DataDir without usage, and with the embedded Redis.
	SampleUsage bool
	// AllowRemote lets Listen and Admin be reached from other machines.
	AllowRemote bool
	Quiet       bool // print only "ready"
	JSON        bool // print only the content of dev.json, when ready
	Version     string
	Command     string    // how a person calls this program, for hints; weir
	Out, Err    io.Writer // what a person, or a script, reads; the log
}

const (
	defaultDataDir = ".weir"
	defaultListen  = "127.0.0.1:9092"
	defaultAdmin   = "127.0.0.1:9080"

	// devDomain routes by SNI beside the ports. Browsers, curl and
	// systemd-resolved know every name under localhost (RFC 6761); other
	// resolvers do not, hence no file relies on it.
	devDomain = "kafka.localhost"
	// devGateway is this process among those on the embedded Redis, where there is no other.
	devGateway = "dev"

	// No load balancer has to notice that a gateway on one's own machine stops,
	// and no second one takes over: ^C is over in a second.
	devDrainGrace  = time.Millisecond
	devDrainSpread = time.Second
)

// dev is one run of `weir dev`.
type dev struct {
	o        DevOptions
	site     *site
	log      *slog.Logger
	started  time.Time
	secrets  secrets
	ca       []byte // PEM
	pool     upstream.Config
	nodes    []int
	rdb      redis.UniversalClient
	halfway  bool                  // what unsaved has written is a part of something, and is not to be saved
	unsaved  redis.UniversalClient // to the embedded Redis; what it writes is saved with what rdb does next
	listen   address
	external bool // the pool is a real one

	closers []func() error // in the order of opening
}

// Dev runs a gateway with everything that it needs in this one process until
// ctx ends, then drains; now, when closed, ends the drain at once. Errors that a
// person can do something about are *UserError.
func Dev(ctx context.Context, o DevOptions, now <-chan struct{}) (err error) {
	d := &dev{o: o, started: time.Now(), log: newLogger(LogConfig{Level: "warn", Format: "text"}, o.Err)}
	redis.SetLogger(redisLog{d.log}) // the library has one for the whole process
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return unlessDone(ctx, err)
	}
	if o.SampleUsage {
		d.say("making up usage since %s, which takes some seconds ...\n", billing.MonthOf(d.started)-sampleMonths)
		if err := d.sample(ctx, sampleMonths); err != nil {
			d.halfway = true
			return unlessDone(ctx, err)
		}
	}
	p, err := d.compose(ctx)
	if err != nil {
		return unlessDone(ctx, err)
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return p.run(running, now) })
	group.Go(func() error { return unlessDone(running, d.greet(running, p)) })
	group.Go(func() error {
		<-running.Done()
		if ctx.Err() != nil {
			d.say("stopping: %d connections draining (^C again: now) ... ", p.proxy.Connections())
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	d.say("bye\n")
	return nil
}

// unlessDone drops an error that only says that ctx ended.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open checks the flags and opens the data folder, Kafka and Redis.
func (d *dev) open(ctx context.Context) error {
	o := &d.o
	o.DataDir, o.Listen, o.Admin = cmp.Or(o.DataDir, defaultDataDir), cmp.Or(o.Listen, defaultListen), cmp.Or(o.Admin, defaultAdmin)
	o.Version, o.Command = cmp.Or(o.Version, untagged), cmp.Or(o.Command, "weir")
	var err error
	if d.listen, err = checkAddress("--listen", o.Listen, o.AllowRemote); err != nil {
		return err
	}
	if _, err = checkAddress("--admin", o.Admin, o.AllowRemote); err != nil {
		return err
	}
	if d.site, err = openSite(o.DataDir, o.Fresh); err != nil {
		return err
	}
	d.onClose(d.site.close)
	if err := d.checkSample(); err != nil {
		return err
	}
	if d.secrets, err = d.site.secrets(); err != nil {
		return err
	}
	if d.ca, err = d.site.certs().ensure(d.started, certHosts(d.listen.host)); err != nil {
		return err
	}
	if err := d.openKafka(ctx); err != nil {
		return err
	}
	return d.openRedis(ctx)
}

func (d *dev) openKafka(ctx context.Context) error {
	var err error
	if d.external = len(d.o.Kafka) > 0; d.external {
		if d.pool, err = realKafka(d.o.Kafka); err != nil {
			return err
		}
	} else {
		cluster, pool, err := embedKafka(d.site.kafkaDir())
		if err != nil {
			return err
		}
		d.onClose(func() error { cluster.Close(); return nil })
		d.pool = pool
	}
	if d.nodes, err = discover(ctx, d.pool); err != nil {
		return kafkaUnreachable(d.o.Kafka, err)
	}
	return nil
}

func (d *dev) openRedis(ctx context.Context) error {
	if d.o.Redis == "" {
		embedded, err := embedRedis(ctx, d.site.redisFile(), d.log)
		if err != nil {
			return err
		}
		d.onClose(func() error {
			if d.halfway {
				return embedded.shut()
			}
			return embedded.close()
		})
		d.rdb, d.unsaved = embedded.client(), embedded.plain
		d.onClose(d.rdb.Close)
		return nil
	}
	options := &redis.UniversalOptions{}
	if err := parseRedisURL(d.o.Redis, options); err != nil {
		return userError("usage", err, []string{"weir dev --redis redis://127.0.0.1:6379"}, "--redis: %v", err)
	}
	d.rdb = newRedis(options)
	d.onClose(d.rdb.Close)
	if err := pingRedis(ctx, d.rdb); err != nil {
		return userError("redis-unreachable", err, []string{"weir dev                 with a Redis of its own inside"},
			"redis at %s does not answer: %v", options.Addrs[0], err)
	}
	return nil
}

// portTries is how often free ports are chosen anew when somebody else was faster.
const portTries = 5

// compose binds the ports; with port 0 it chooses them.
func (d *dev) compose(ctx context.Context) (*process, error) {
	for try := 1; ; try++ {
		listen := d.listen
		if listen.port == 0 {
			var err error
			if listen.port, err = freePorts(ctx, listen.host, 1+len(d.nodes)); err != nil {
				return nil, err
			}
		}
		a, err := d.assemble(listen)
		if err != nil {
			return nil, err
		}
		p, err := compose(ctx, *a)
		if err == nil {
			d.listen = listen
			return p, nil
		}
		if d.listen.port != 0 || try == portTries {
			return nil, portInUse(err, d.o)
		}
	}
}

// assemble says in the words of weir.yaml what `weir dev` is.
func (d *dev) assemble(listen address) (*assembly, error) {
	certs := d.site.certs()
	words := &Config{Listeners: []ListenerConfig{{
		Address: listen.String(),
		TLS:     &ServerTLSConfig{CertificateFile: certs.serverFile(), KeyFile: certs.serverKey()},
		SNI:     &SNIConfig{Domain: devDomain},
		Brokers: []BrokersConfig{{Pool: devPool, Host: listen.host, FirstPort: listen.port + 1, Nodes: d.nodes}},
	}}}
	f, err := words.faces(d.log)
	if err != nil {
		return nil, fmt.Errorf("dev listeners: %w", err)
	}
	f.domains = nil // see devDomain
	gateway := ""
	if d.o.Redis == "" {
		// Nobody else is on this Redis: a run that was killed leaves no second
		// gateway behind for which changes would wait.
		gateway = devGateway
	}
	sealer, err := tenancy.NewSealer(d.secrets.Pepper)
	if err != nil {
		return nil, err
	}
	plans := devPlans()
	return &assembly{
		plans: planFile(plans), prices: planPrices(plans), metering: (&MeteringConfig{Dir: d.site.usageDir()}).settings(""),
		log: d.log, version: d.o.Version, gateway: gateway, rdb: d.rdb, pepper: d.secrets.Pepper, sealer: sealer,
		pools: []upstream.Config{d.pool}, faces: f, adminAddress: d.o.Admin,
		proxy: proxy.Config{AutoCreateTopics: true, DrainGrace: devDrainGrace, DrainSpread: devDrainSpread},
		admin: admin.Config{TokenKey: d.secrets.TokenKey, Plans: planNames(plans), DefaultPool: devPool, CA: d.ca},
	}, nil
}

func (d *dev) onClose(f func() error) { d.closers = append(d.closers, f) }

// close undoes open, last thing first.
func (d *dev) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
