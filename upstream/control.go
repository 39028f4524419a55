package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// requestTimeout is for a control request whose caller set no deadline.
	requestTimeout = 10 * time.Second
	// retryWait is between two tries of a control request.
	retryWait = 100 * time.Millisecond
	// maxRetries is how often one is tried again that was not sent, or only reads.
	maxRetries = 3
)

// errDial marks that a control request was never sent.
var errDial = errors.New("could not connect")

// newClient returns a client for the gateway's own requests, over the pool's
// own dials. It finds coordinators and the controller by itself.
func (p *Pool) newClient(opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append([]kgo.Opt{
		kgo.ClientID(clientID),
		kgo.SoftwareNameAndVersion(clientID, softwareVersion),
		kgo.SeedBrokers(p.cfg.Bootstrap...),
		kgo.Dialer(p.dialControl),
		kgo.RequestTimeoutOverhead(requestTimeout),
		kgo.DisableClientMetrics(),
	}, opts...)
	if p.cfg.SASL != nil {
		opts = append(opts, kgo.SASL(p.cfg.SASL))
	}
	return kgo.NewClient(opts...)
}

// dialControl refuses at once what is known to be down, so that the client
// turns to the next broker.
func (p *Pool) dialControl(ctx context.Context, _, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	for _, b := range p.Brokers() {
		if b.addr() != addr {
			continue
		}
		if err := p.health.down(b.Node); err != nil {
			return nil, fmt.Errorf("%w: %w", errDial, err)
		}
	}
	c, err := p.connectTLS(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: broker at %s: %w", errDial, addr, err)
	}
	return c, nil
}

// Request sends one request to any healthy broker (or the right coordinator or
// controller) over the gateway's own control connection and returns the answer,
// at the newest version that both speak, whatever version req carries.
// It is sent at most once unless it only reads; only what could not be sent is
// tried again. Error codes inside the answer are the caller's to read. It waits
// for Run, and 10s in all if ctx has no deadline. Metadata never creates topics.
// Not for the data path, and not for tenants' groups (the client remembers a
// coordinator for each name).
func (p *Pool) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	if m, ok := req.(*kmsg.MetadataRequest); ok && m.AllowAutoTopicCreation {
		dup := *m
		dup.AllowAutoTopicCreation = false
		req = &dup
	}
	client, err := p.control(ctx)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		resp, err := client.Request(ctx, req)
		again := errors.Is(err, errDial) || readsOnly(req) && lostConnection(err)
		if err == nil || !again || try == maxRetries {
			return resp, wrapRequest(p, req, err)
		}
		if sleep(ctx, retryWait) != nil {
			return nil, wrapRequest(p, req, err)
		}
	}
}

// control returns the client once Run has made it.
func (p *Pool) control(ctx context.Context) (*kgo.Client, error) {
	select {
	case <-p.running:
		return p.client, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("pool %q: not running: %w", p.cfg.Name, ctx.Err())
	}
}

// askOne sends a request that reads to one broker that is up, and to the next if that fails.
func (p *Pool) askOne(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	client, err := p.control(ctx)
	if err != nil {
		return nil, err
	}
	err = ErrNoBroker
	candidates := p.candidates()
	for _, b := range candidates[:min(len(candidates), maxAnyTries)] {
		var resp kmsg.Response
		if resp, err = client.Broker(int(b.Node)).Request(ctx, req); err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, wrapRequest(p, req, err)
}

// lostConnection says whether the broker went away before it answered. kgo
// takes a connection that ends before its first answer for a refusal of SASL;
// here the probes would have seen that, so it is a broker that stops.
func lostConnection(err error) bool {
	_, first := errors.AsType[*kgo.ErrFirstReadEOF](err)
	return first || kgo.IsRetryableBrokerErr(err)
}

// readsOnly says whether a request may safely reach a broker twice.
func readsOnly(req kmsg.Request) bool {
	return slices.Contains([]kmsg.Key{
		kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetFetch, kmsg.FindCoordinator, kmsg.DescribeGroups,
		kmsg.ListGroups, kmsg.ApiVersions, kmsg.OffsetForLeaderEpoch, kmsg.DescribeConfigs,
		kmsg.DescribeCluster, kmsg.DescribeProducers, kmsg.DescribeTransactions, kmsg.ListTransactions,
		kmsg.ConsumerGroupDescribe, kmsg.DescribeTopicPartitions, kmsg.ShareGroupDescribe,
		kmsg.StreamsGroupDescribe, kmsg.ListConfigResources, kmsg.DescribeShareGroupOffsets,
		kmsg.DescribeACLs, kmsg.DescribeUserSCRAMCredentials,
	}, kmsg.Key(req.Key()))
}

func wrapRequest(p *Pool, req kmsg.Request, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pool %q: %s: %w", p.cfg.Name, kmsg.NameForKey(req.Key()), err)
}

func withDefaultTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, requestTimeout)
}

// sleep waits d or until ctx ends, and says which.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
