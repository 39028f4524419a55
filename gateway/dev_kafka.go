package gateway

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/upstream"
)

const (
	// devPool is the name of the one pool of `weir dev`, embedded or real, so
	// that instances survive a change of mind.
	devPool = "dev"
	// embeddedBrokers as in the smallest cluster that is like production.
	embeddedBrokers = 3
	// embeddedPort is the first of the brokers' ports on the memoryNet.
	embeddedPort = 9092
	// embeddedPartitions of a topic that is created without a number: Kafka's own
	// num.partitions. What went in first then comes out first.
	embeddedPartitions = 1
	// discoverTimeout bounds the first look at a real pool.
	discoverTimeout = 10 * time.Second
)

// embedKafka starts the embedded brokers with their data under dir. Every batch
// is written to a file before it is acknowledged, but not synced: it survives
// the end of the process (kill -9 too), not that of the machine.
//
// They are no wall between instances as Kafka's are: kfake goes by the producer
// id alone where Kafka holds it against the transactional id, and it makes that
// id a hash of the other, so that one instance can end another's transaction.
func embedKafka(dir string) (*kfake.Cluster, upstream.Config, error) {
	network := &memoryNet{}
	var ports []int
	for i := range embeddedBrokers {
		ports = append(ports, embeddedPort+i)
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(ports...),
		kfake.ListenFn(network.Listen),
		kfake.DataDir(dir),
		kfake.DefaultNumPartitions(embeddedPartitions),
	)
	if err != nil {
		return nil, upstream.Config{}, fmt.Errorf("embedded kafka: %w", err)
	}
	return cluster, upstream.Config{Name: devPool, Bootstrap: cluster.ListenAddrs(), Dial: network.DialContext}, nil
}

// discover asks a pool for its node ids, in order: a port is opened for each
// before the gateway's own connection to the pool exists.
func discover(ctx context.Context, pool upstream.Config) ([]int, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(pool.Bootstrap...), kgo.ClientID("weir"), kgo.RequestRetries(1)}
	if pool.Dial != nil {
		opts = append(opts, kgo.Dialer(pool.Dial))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []int
	for _, id := range brokers.NodeIDs() {
		nodes = append(nodes, int(id))
	}
	slices.Sort(nodes)
	return nodes, nil
}

// realKafka is the pool behind --kafka: plaintext, as brokers on one's own
// machine mostly are; anything else is for `weir serve`.
func realKafka(bootstrap []string) (upstream.Config, error) {
	for _, addr := range bootstrap {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return upstream.Config{}, userError("usage", nil, []string{"weir dev --kafka 127.0.0.1:9092"},
				"--kafka %s: %q is not host:port", strings.Join(bootstrap, ","), addr)
		}
	}
	return upstream.Config{Name: devPool, Bootstrap: bootstrap}, nil
}

func kafkaUnreachable(bootstrap []string, cause error) error {
	if len(bootstrap) == 0 {
		return fmt.Errorf("embedded kafka does not answer: %w", cause)
	}
	return userError("kafka-unreachable", cause,
		[]string{"weir dev                 with brokers of its own inside"},
		"kafka at %s does not answer: %v", strings.Join(bootstrap, ","), cause)
}
