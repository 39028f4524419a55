//go:build real

package e2e

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/parts"
	"weir/proxy/wire"
)

// TestHostileTenantReal is TestHostileTenant before real Kafka, which holds more.
func TestHostileTenantReal(t *testing.T) {
	w := newWorld(t)
	besiege(t, w, attack{"the session that a broker would give away", func(t *testing.T, s *siege) { hijack(t, s, w.kafka.Addr(int(s.prize.leader))) }})
}

// besiege attacks a gateway before real Kafka, with more attacks than those on any.
func besiege(t *testing.T, w *world, more ...attack) {
	t.Helper()
	g := w.start("g1")
	attacker, victim := w.create(g, "i-raider"), w.create(g, "i-victim")
	s := &siege{
		t: t, roots: w.roots, attacker: account(attacker), victim: account(victim),
		addr: func(node int32) string {
			if node < 0 {
				return w.bootstrap()
			}
			return fmt.Sprintf("127.0.0.1:%d", w.port+int(node))
		},
		never: []string{parts.ClusterID, parts.Host(1), parts.Host(2), parts.Host(3)},
	}
	s.prepare(t)
	s.attack(t, append(append(attacks(), attack{"producer ids", producerIDs}), more...))
}

// producerIDs: who knows another's producer id and epoch can do nothing to its transaction.
func producerIDs(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.txn)
	for _, txn := range []string{canaryTxn, s.victim.id + "." + canaryTxn, "heist"} {
		for _, epoch := range []int16{s.prize.producerEpoch, s.prize.producerEpoch + 1, math.MaxInt16} {
			begin := kmsg.NewPtrInitProducerIDRequest()
			begin.TransactionalID, begin.TransactionTimeoutMillis = &txn, 60_000
			begin.ProducerID, begin.ProducerEpoch = s.prize.producer, epoch
			if got := must[*kmsg.InitProducerIDResponse](t, c, begin, 4); got.ErrorCode == 0 && got.ProducerID == s.prize.producer {
				t.Errorf("InitProducerId of %s epoch %d took the victim's: %+v", txn, epoch, got)
			}
			for v := int16(0); v <= 4; v++ {
				end := kmsg.NewPtrEndTxnRequest()
				end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = txn, s.prize.producer, epoch, true
				if got := must[*kmsg.EndTxnResponse](t, c, end, v); got.ErrorCode == 0 {
					t.Errorf("EndTxn v%d of %s: %+v", v, txn, got)
				}
			}
			add := kmsg.NewPtrAddPartitionsToTxnRequest()
			add.TransactionalID, add.ProducerID, add.ProducerEpoch = txn, s.prize.producer, epoch
			add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "junk", Partitions: []int32{0}}}
			if got := must[*kmsg.AddPartitionsToTxnResponse](t, c, add, 3); got.Topics[0].Partitions[0].ErrorCode == 0 {
				t.Errorf("AddPartitionsToTxn of %s: %+v", txn, got)
			}
			offsets := kmsg.NewPtrAddOffsetsToTxnRequest()
			offsets.TransactionalID, offsets.ProducerID, offsets.ProducerEpoch, offsets.Group = txn, s.prize.producer, epoch, "gang"
			if got := must[*kmsg.AddOffsetsToTxnResponse](t, c, offsets, 3); got.ErrorCode == 0 {
				t.Errorf("AddOffsetsToTxn of %s: %+v", txn, got)
			}
		}
	}
	// The victim's transaction goes on.
	v := s.login(t, s.victim, s.prize.txn)
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = canaryTxn, s.prize.producer, s.prize.producerEpoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: canaryTopic, Partitions: []int32{0}}}
	if got := must[*kmsg.AddPartitionsToTxnResponse](t, v, add, 3); got.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("the victim's transaction: %+v", got)
	}
}

// hijack does to a broker what fetchSessions does to the gateway: who guesses a
// session's id reads another's records (protocol.md 2.3). Should Kafka bind
// sessions to connections one day, this fails, and the gateway's care for them
// can go.
func hijack(t *testing.T, s *siege, broker string) {
	direct := func() *raw {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", broker)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		return &raw{Conn: c, s: &siege{t: t}, in: wire.NewReader(c)}
	}
	opened := must[*kmsg.FetchResponse](t, direct(), fetch(s.prize.id, 0, 0), 13).SessionID
	if opened == 0 {
		t.Fatal("the broker opened no session")
	}
	stolen := must[*kmsg.FetchResponse](t, direct(), fetch([16]byte{}, opened, 1), 13)
	if len(stolen.Topics) != 1 || !bytes.Contains(stolen.Topics[0].Partitions[0].RecordBatches, []byte(canaryValue)) {
		t.Errorf("a broker does not give away a session any more: %+v", stolen)
	}
	mine := must[*kmsg.FetchResponse](t, s.login(t, s.attacker, s.prize.leader), fetch([16]byte{}, opened, 2), 13)
	if mine.ErrorCode != noSession || len(mine.Topics) > 0 {
		t.Errorf("the gateway: %+v", mine)
	}
}
