//go:build real

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/parts"
	"weir/proxy/rewrite"
)

// TestOlderKafka is a pool of the line before 4.0: what its brokers do not have
// is not offered, and clients of today work with what there is.
func TestOlderKafka(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, parts.StartOlderKafka(t, 1))
	in := w.create(w.start("g1"), "i-older")
	cl := w.client(in)
	t.Run("ApiVersions", func(t *testing.T) { olderVersions(t, w, cl) })
	t.Run("franz-go", func(t *testing.T) {
		w.createTopic(cl, "franz", 2)
		for _, opts := range [][]kgo.Opt{nil, {kgo.TransactionalID("franz-txn")}} {
			olderFranz(t, w, in, opts)
		}
	})
	t.Run("kcat", func(t *testing.T) {
		w.createTopic(cl, "kcat", 1)
		conf := fmt.Sprintf("bootstrap.servers=%s\nsecurity.protocol=SASL_SSL\nsasl.mechanisms=PLAIN\nsasl.username=%s\nsasl.password=%s\nssl.ca.location=%s\n",
			w.bootstrap(), in.user, in.password, filepath.Join(w.dir, "ca.pem"))
		w.write("kcat.conf", []byte(conf))
		kcat(t, w.dir)
	})
	t.Run("java 4.3.1", func(t *testing.T) {
		w.createTopic(cl, "console", 1)
		w.write("client.properties", []byte(strings.ReplaceAll(read(t, w.properties(in)), "bootstrap.servers", "#")))
		w.console(t, w.dir)
	})
	t.Run("java, consumer protocol", func(t *testing.T) {
		libs, err := parts.KafkaLibs()
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"),
			"org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", w.bootstrap(), "--command-config", w.properties(in),
			"--topic", "console", "--from-beginning", "--max-messages", "1000", "--timeout-ms", "30000", "--group", "next",
			"--command-property", "group.protocol=consumer").CombinedOutput()
		t.Logf("group.protocol=consumer before Kafka 4.0: %v %s", err, tail(out, 400))
	})
}

// localKey says whether the gateway answers a key itself.
func localKey(key int16) bool {
	for _, a := range rewrite.Table() {
		if int16(a.Key) == key {
			return a.Local
		}
	}
	return false
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// olderVersions holds what is advertised against what the broker itself says.
func olderVersions(t *testing.T, w *world, cl *kgo.Client) {
	ask := func(cl *kgo.Client) (map[int16]kmsg.ApiVersionsResponseApiKey, *kmsg.ApiVersionsResponse) {
		resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[int16]kmsg.ApiVersionsResponseApiKey{}
		for _, k := range resp.ApiKeys {
			keys[k.ApiKey] = k
		}
		return keys, resp
	}
	broker, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Bootstrap()...))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	has, _ := ask(broker)
	offers, resp := ask(cl)
	var beyond []string
	for key, k := range offers {
		b, ok := has[key]
		if local := localKey(key); !local && (!ok || k.MaxVersion > b.MaxVersion) {
			t.Errorf("%s up to %d is offered, the broker has %d (%v)", kmsg.NameForKey(key), k.MaxVersion, b.MaxVersion, ok)
		} else if local && k.MaxVersion > b.MaxVersion {
			beyond = append(beyond, fmt.Sprintf("%s %d for %d", kmsg.NameForKey(key), k.MaxVersion, b.MaxVersion))
		}
	}
	for _, k := range []kmsg.Key{kmsg.ShareFetch, kmsg.ShareGroupHeartbeat, kmsg.StreamsGroupHeartbeat} {
		if _, ok := offers[int16(k)]; ok {
			t.Errorf("%s is offered", k.Name())
		}
	}
	if got := offers[int16(kmsg.Produce)].MaxVersion; got > 11 {
		t.Errorf("Produce %d is offered", got)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.MaxVersionLevel > 1 && f.Name == "transaction.version" || f.Name == "share.version" || f.Name == "streams.version" {
			t.Errorf("feature %s at %d", f.Name, f.MaxVersionLevel)
		}
	}
	t.Logf("%d keys of the broker's %d; features %v; answered by the gateway beyond the broker: %v", len(offers), len(has), resp.FinalizedFeatures, beyond)
}

func olderFranz(t *testing.T, w *world, in instance, opts []kgo.Opt) {
	const count = 5000
	cl := w.client(in, append(opts, kgo.DefaultProduceTopic("franz"))...)
	if opts != nil {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		cl.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	group := "plain"
	if opts != nil {
		group = "txn"
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	member := w.client(in, kgo.ConsumerGroup(group), kgo.ConsumeTopics("franz"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	seen := map[string]int{}
	for n := 0; n < count; {
		fetches := member.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; n++ })
	}
	if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Error(err)
	}
	if len(seen) != count {
		t.Errorf("%s: %d different records of %d", group, len(seen), count)
	}
	member.Close()
	cl.Close()
}
