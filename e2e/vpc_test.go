//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
)

// TestVPC is two tenants in networks of their own, whose hosts have the very
// same addresses, and one load balancer with a leg in each (HAProxy). All that
// tells the networks apart is what the balancer's PROXY header says, which no
// client can write. Stock clients with the right password work from their own
// network and fail from the other.
func TestVPC(t *testing.T) {
	w := newWorldOn(t, parts.StartKafka(t, 1))
	w.sniPort = 9092
	w.listener = `proxy_protocol: {from: [127.0.0.1/32], mode: required, endpoint: {cloud: haproxy, type: 5, form: text}}`
	ids := []string{"i-vpc-a", "i-vpc-b"}
	var hosts []string
	for _, id := range ids {
		hosts = append(hosts, id+".kafka.localhost", "b1-"+id+".kafka.localhost")
	}
	g := w.start("g1")
	v := &vpcs{world: w, gateway: g, networks: parts.StartVPCs(t, len(ids), hosts)}
	v.balance()
	for i, id := range ids {
		in := w.create(g, id)
		in.user, _, _ = strings.Cut(in.user, "@") // the host name says the instance
		v.instances = append(v.instances, in)
		v.only(i, v.endpoint(i))
	}
	t.Run("stock clients", func(t *testing.T) { v.in(t).stockClients(t) })
	t.Run("live", func(t *testing.T) { v.in(t).live(t) })
}

// vpcs are the networks, and one instance for each.
type vpcs struct {
	*world
	gateway   *gateway
	networks  []*parts.VPC
	instances []instance
}

// in is the same story told by a subtest.
func (v *vpcs) in(t *testing.T) *vpcs {
	w, same := *v.world, *v
	w.t, same.world = t, &w
	return &same
}

// endpoint is what the balancer calls its leg in a network.
func (v *vpcs) endpoint(i int) string { return fmt.Sprintf("vpce-0%016x", 0xa0+i) }

// balance starts the balancer.
func (v *vpcs) balance() {
	v.t.Helper()
	var b strings.Builder
	b.WriteString("global\n  maxconn 1000\nnamespace_list\n")
	for _, n := range v.networks {
		fmt.Fprintf(&b, "  namespace %s\n", n.Leg)
	}
	b.WriteString("defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n")
	for i, n := range v.networks {
		fmt.Fprintf(&b, "frontend vpc%d\n  bind %s:9092 namespace %s\n  unique-id-format %s\n  default_backend weir\n",
			i, parts.VPCBalancer, n.Leg, v.endpoint(i))
	}
	fmt.Fprintf(&b, "backend weir\n  server gateway 127.0.0.1:%d send-proxy-v2 proxy-v2-options unique-id,crc32c\n", v.port)
	parts.StartHAProxy(v.t, b.String())
}

// only lets an instance be reached through one endpoint.
func (v *vpcs) only(i int, endpoint string) {
	v.t.Helper()
	body := fmt.Sprintf(`{"allow":[{"endpoint":%q,"cloud":"haproxy"}]}`, endpoint)
	status, text, err := v.put(v.gateway, "/v1/instances/"+v.instances[i].id+"/networks", body)
	if err != nil || status != http.StatusOK {
		v.t.Fatalf("PUT networks: %d %v\n%s", status, err, text)
	}
}

// stockClients go from each network to each instance, with the right password.
func (v *vpcs) stockClients(t *testing.T) {
	python, err := parts.Python()
	if err != nil {
		t.Fatal(err)
	}
	libs, err := parts.KafkaLibs()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(v.dir, "ca.pem")
	for side, network := range v.networks {
		for target, in := range v.instances {
			at := in.id + ".kafka.localhost:9092"
			props := v.propertiesAt(in, at)
			clients := map[string]*exec.Cmd{
				"kcat": network.Command(t.Context(), "kcat", "-b", at, "-L", "-m", "5", "-X", "security.protocol=SASL_SSL",
					"-X", "sasl.mechanism=PLAIN", "-X", "sasl.username="+in.user, "-X", "sasl.password="+in.password, "-X", "ssl.ca.location="+ca),
				"kafka-topics (Java)": network.Command(t.Context(), "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"),
					"org.apache.kafka.tools.TopicCommand", "--bootstrap-server", at, "--command-config", props, "--list"),
				"confluent-kafka": network.Command(t.Context(), "timeout", "15", python, "clients/librdkafka.py", at, in.user, in.password, ca,
					fmt.Sprintf("from%d", side), "group", "1000"),
			}
			for name, cmd := range clients {
				out, err := cmd.CombinedOutput()
				t.Logf("%-20s from network %d to instance %d: worked %t", name, side, target, err == nil)
				if (err == nil) != (side == target) {
					t.Errorf("%s from network %d to instance %d: %v\n%s", name, side, target, err, tail(out, 1500))
				}
			}
		}
	}
}

// propertiesAt writes a Java client's configuration for a bootstrap address.
func (v *vpcs) propertiesAt(in instance, at string) string {
	v.t.Helper()
	text, err := os.ReadFile(v.properties(in))
	if err != nil {
		v.t.Fatal(err)
	}
	name := in.id + "-vpc.properties"
	v.write(name, []byte(strings.Replace(string(text), "bootstrap.servers="+v.bootstrap(), "bootstrap.servers="+at+"\ndefault.api.timeout.ms=8000\nrequest.timeout.ms=5000", 1)))
	return filepath.Join(v.dir, name)
}

// live takes the endpoint away from one instance, again and again, while clients
// of both are connected.
func (v *vpcs) live(t *testing.T) {
	closed := newClosings()
	clients := make([]*kgo.Client, len(v.instances))
	for i := range v.instances {
		clients[i] = v.from(i, i, closed)
		v.createTopic(clients[i], "live", 1)
		keepPolling(clients[i])
	}
	stop := make(chan struct{})
	var neighbour sync.WaitGroup
	var produced, failed int
	neighbour.Go(func() { // works on all the time
		for {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := clients[1].ProduceSync(ctx, &kgo.Record{Topic: "live", Value: []byte("x")}).FirstErr(); err != nil {
				failed++
			}
			produced++
			cancel()
		}
	})
	var took []time.Duration
	for range *times {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := clients[0].ProduceSync(ctx, &kgo.Record{Topic: "live", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatalf("with its endpoint allowed: %v", err)
		}
		cancel()
		open := closed.await(t, 0)
		begin := time.Now()
		v.only(0, "vpce-0ffffffffffffffff")
		last, err := closed.after(t.Context(), 0, open)
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, last.Sub(begin))
		v.only(0, v.endpoint(0))
	}
	close(stop)
	neighbour.Wait()
	slices.Sort(took)
	t.Logf("%d times: all connections of the instance closed within p50 %v, p99 %v of sending the change; its neighbour produced %d, failed %d",
		len(took), took[len(took)/2], took[len(took)-1], produced, failed)
	if failed > 0 || produced == 0 {
		t.Errorf("the neighbour produced %d records and failed %d times", produced, failed)
	}
	if took[len(took)-1] > tooLong {
		t.Errorf("the slowest took %v", took[len(took)-1])
	}
}

// from is a franz-go client in one network of the instance of another, or its own.
func (v *vpcs) from(side, target int, closed *closings) *kgo.Client {
	v.t.Helper()
	in := v.instances[target]
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(in.id+".kafka.localhost:9092"),
		kgo.SASL(scram.Auth{User: in.user, Pass: in.password}.AsSha512Mechanism()),
		kgo.RetryTimeout(15*time.Second),
		kgo.ConsumeTopics("live"),
		kgo.Dialer(func(ctx context.Context, _, host string) (net.Conn, error) {
			raw, err := v.networks[side].Dial(ctx, 9092)
			if err != nil {
				return nil, err
			}
			name, _, _ := strings.Cut(host, ":")
			return closed.watch(target, tls.Client(raw, &tls.Config{RootCAs: v.roots, ServerName: name, MinVersion: tls.VersionTLS12})), nil
		}),
	)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(cl.Close)
	return cl
}
