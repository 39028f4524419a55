package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	endian "encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/proxy/wire"
)

// What only the victim has. The attacker says neither in any request, so no
// answer to it may hold one.
const (
	canaryTopic = "treasure-1f0c5a77"
	canaryGroup = "crew-1f0c5a77"
	canaryTxn   = "voyage-1f0c5a77"
	canaryValue = "gold-1f0c5a77"
)

// account is one instance and a user of it.
type account struct{ id, user, password string }

// siege is a gateway with an attacker's instance and a victim's, whatever the
// gateway stands before.
type siege struct {
	t     *testing.T              // of the attack under way
	whole *testing.T              // of all attacks
	addr  func(node int32) string // where a node is reached, -1: the bootstrap
	roots *x509.CertPool
	// never are strings that no client may see: the pool's own names.
	never            []string
	attacker, victim account
	prize            prize
	said             atomic.Int64 // requests of the attacker
}

// prize is what the victim has.
type prize struct {
	id                    [16]byte
	leader, group, txn    int32 // nodes
	producer              int64
	producerEpoch         int16
	session, epoch        int32 // a fetch session that is open on conn, and its newest epoch
	conn                  *raw
	attackersID           [16]byte // of the attacker's own topic
	attackersLeader, home int32    // home: of the attacker's group
}

// raw is a connection on which frames are made by hand.
type raw struct {
	net.Conn
	s    *siege
	in   *wire.Reader
	next int32
	mine string // the prefix of whose connection it is, which it must not see either
}

// dial opens a TLS connection; serverName "" is without SNI.
func (s *siege) dial(t *testing.T, node int32, serverName string) *raw {
	t.Helper()
	cfg := &tls.Config{RootCAs: s.roots, ServerName: serverName, MinVersion: tls.VersionTLS12}
	if serverName == "" {
		cfg.ServerName = "127.0.0.1"
	}
	d := tls.Dialer{Config: cfg}
	c, err := d.DialContext(t.Context(), "tcp", s.addr(node))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &raw{Conn: c, s: s, in: wire.NewReader(c)}
}

// login opens a connection to a node and authenticates.
func (s *siege) login(t *testing.T, as account, node int32) *raw {
	t.Helper()
	c := s.dial(t, node, "")
	if err := c.login(as.user, as.password); err != nil {
		t.Fatalf("%s: %v", as.user, err)
	}
	c.mine = as.id + "."
	return c
}

// login authenticates with PLAIN.
func (c *raw) login(user, password string) error {
	if _, err := c.handshake("PLAIN"); err != nil {
		return err
	}
	_, err := c.token([]byte("\x00" + user + "\x00" + password))
	return err
}

func (c *raw) handshake(mechanism string) (*kmsg.SASLHandshakeResponse, error) {
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = mechanism
	resp, err := c.ask(h, 1)
	if err != nil {
		return nil, err
	}
	answer := resp.(*kmsg.SASLHandshakeResponse)
	return answer, kerr.ErrorForCode(answer.ErrorCode)
}

func (c *raw) token(token []byte) ([]byte, error) {
	a := kmsg.NewPtrSASLAuthenticateRequest()
	a.SASLAuthBytes = token
	resp, err := c.ask(a, 2)
	if err != nil {
		return nil, err
	}
	answer := resp.(*kmsg.SASLAuthenticateResponse)
	return answer.SASLAuthBytes, kerr.ErrorForCode(answer.ErrorCode)
}

// ask sends one request and returns the answer.
func (c *raw) ask(req kmsg.Request, version int16) (kmsg.Response, error) {
	req.SetVersion(version)
	body, err := c.bytes(req.Key(), version, req.AppendTo(nil))
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	return resp, resp.ReadFrom(body)
}

// bytes sends one request's body and returns the answer's. Every byte that
// comes back is looked through for what must never be there.
func (c *raw) bytes(key, version int16, body []byte) ([]byte, error) {
	c.next++
	if c.mine == c.s.attacker.id+"." {
		c.s.said.Add(1)
	}
	h := wire.RequestHeader{Key: key, Version: version, Correlation: c.next, ClientID: []byte("raw")}
	if _, err := c.Write(append(wire.AppendRequest(nil, h, len(body)), body...)); err != nil {
		return nil, err
	}
	frame, err := c.in.Next(64 << 20)
	if err != nil {
		return nil, err
	}
	if key != int16(kmsg.SASLAuthenticate) {
		c.search(frame, body)
	}
	correlation, rest, err := wire.ParseResponse(frame, key, version)
	if err != nil || correlation != c.next {
		return nil, errors.Join(err, errors.New("wrong correlation id"))
	}
	return rest, nil
}

// search fails the test if an answer holds what the asker neither owns nor
// said itself.
func (c *raw) search(answer, asked []byte) {
	c.s.t.Helper()
	never := c.s.never
	if c.mine != "" {
		never = append([]string{c.mine}, never...)
	}
	if c.mine == c.s.attacker.id+"." {
		never = append([]string{c.s.victim.id, canaryTopic, canaryGroup, canaryTxn, canaryValue}, never...)
	}
	for _, text := range never {
		if at := bytes.Index(answer, []byte(text)); at >= 0 && !bytes.Contains(asked, []byte(text)) {
			c.s.t.Errorf("the gateway sent %q, in %q", text, strings.ToValidUTF8(string(answer[max(0, at-60):min(len(answer), at+60)]), "."))
		}
	}
}

// closes fails unless the gateway closes without a word.
func (c *raw) closes(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(c)
	var timeout net.Error
	if len(rest) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the gateway sent %q, %v; want it to close silently", rest, err)
	}
}

// write sends one request as it is and reads nothing.
func (c *raw) write(key, version int16, body []byte) {
	_, _ = c.Write(append(wire.AppendRequest(nil, wire.RequestHeader{Key: key, Version: version, ClientID: []byte("raw")}, len(body)), body...))
}

// client is a stock client of an account.
func (s *siege) client(t *testing.T, as account, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(s.addr(-1)),
		kgo.DialTLSConfig(&tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(plain.Auth{User: as.user, Pass: as.password}.AsMechanism()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// prepare makes what the victim is robbed of, and what the attacker works with.
func (s *siege) prepare(t *testing.T) {
	t.Helper()
	s.whole = t
	v := s.login(t, s.victim, -1)
	s.prize.id, s.prize.leader = v.topic(t, canaryTopic)
	cl := s.client(t, s.victim, kgo.DefaultProduceTopic(canaryTopic))
	for range 3 {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(canaryValue)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s.prize.group, s.prize.txn = v.coordinator(t, canaryGroup, 0), v.coordinator(t, canaryTxn, 1)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = canaryGroup, -1
	row := kmsg.NewOffsetCommitRequestTopic()
	row.Topic = canaryTopic
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Offset = 2
	row.Partitions = append(row.Partitions, part)
	commit.Topics = append(commit.Topics, row)
	at := s.login(t, s.victim, s.prize.group)
	again(t, "the offset is committed", func() bool {
		return must[*kmsg.OffsetCommitResponse](t, at, commit, 8).Topics[0].Partitions[0].ErrorCode == 0
	})
	initID := kmsg.NewPtrInitProducerIDRequest()
	initID.TransactionalID, initID.TransactionTimeoutMillis = new(canaryTxn), 60_000
	at = s.login(t, s.victim, s.prize.txn)
	again(t, "the producer has begun", func() bool {
		begun := must[*kmsg.InitProducerIDResponse](t, at, initID, 4)
		s.prize.producer, s.prize.producerEpoch = begun.ProducerID, begun.ProducerEpoch
		return begun.ErrorCode == 0
	})
	s.openSession(t)
	a := s.login(t, s.attacker, -1)
	s.prize.attackersID, s.prize.attackersLeader = a.topic(t, "junk")
	s.prize.home = a.coordinator(t, "gang", 0)
}

// openSession opens the victim's fetch session.
func (s *siege) openSession(t *testing.T) {
	s.prize.conn, s.prize.epoch = s.login(s.whole, s.victim, s.prize.leader), 0
	s.prize.session = must[*kmsg.FetchResponse](t, s.prize.conn, fetch(s.prize.id, 0, 0), 13).SessionID
	if s.prize.session == 0 {
		t.Fatal("the victim has no fetch session")
	}
}

// must asks and gives the answer's type.
func must[P kmsg.Response](t *testing.T, c *raw, req kmsg.Request, version int16) P {
	t.Helper()
	resp, err := c.ask(req, version)
	if err != nil {
		t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return resp.(P)
}

// topic makes a topic and waits until it has a leader.
func (c *raw) topic(t *testing.T, name string) (id [16]byte, leader int32) {
	t.Helper()
	create := kmsg.NewPtrCreateTopicsRequest()
	row := kmsg.NewCreateTopicsRequestTopic()
	row.Topic, row.NumPartitions, row.ReplicationFactor = name, 1, -1
	create.Topics, create.TimeoutMillis = append(create.Topics, row), 10_000
	made := must[*kmsg.CreateTopicsResponse](t, c, create, 7)
	if made.Topics[0].ErrorCode != 0 {
		t.Fatalf("%+v", made)
	}
	again(t, "the topic has a leader", func() bool {
		meta := kmsg.NewPtrMetadataRequest()
		meta.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		got := must[*kmsg.MetadataResponse](t, c, meta, 12).Topics[0]
		if got.ErrorCode != 0 || len(got.Partitions) != 1 || got.Partitions[0].ErrorCode != 0 {
			return false
		}
		id, leader = got.TopicID, got.Partitions[0].Leader
		return true
	})
	return id, leader
}

// again asks until it is so: brokers need a moment for what is new.
func again(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("waited in vain until %s", what)
}

func (c *raw) coordinator(t *testing.T, key string, kind int8) int32 {
	t.Helper()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = kind, []string{key}
	var node int32
	again(t, key+" has a coordinator", func() bool {
		got := must[*kmsg.FindCoordinatorResponse](t, c, find, 4).Coordinators[0]
		node = got.NodeID
		return got.ErrorCode == 0
	})
	return node
}

// fetch reads one partition by its topic's id within a session.
func fetch(id [16]byte, session, epoch int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MaxBytes, req.SessionID, req.SessionEpoch = 0, 1<<20, session, epoch
	if id != ([16]byte{}) {
		row := kmsg.NewFetchRequestTopic()
		row.TopicID = id
		part := kmsg.NewFetchRequestTopicPartition()
		part.PartitionMaxBytes = 1 << 20
		row.Partitions = append(row.Partitions, part)
		req.Topics = append(req.Topics, row)
	}
	return req
}

// batch is one record batch (magic 2) without a record in it: brokers check
// topics and rights before records.
func batch(producer int64, epoch int16, attributes int16) []byte {
	b := make([]byte, 61)
	endian.BigEndian.PutUint32(b[8:], 49)
	b[16] = 2
	endian.BigEndian.PutUint16(b[21:], uint16(attributes))
	endian.BigEndian.PutUint64(b[43:], uint64(producer))
	endian.BigEndian.PutUint16(b[51:], uint16(epoch))
	return b
}

// intact fails unless the victim has what it had, and its session lives.
func (s *siege) intact(t *testing.T) {
	t.Helper()
	c := s.login(t, s.victim, s.prize.leader)
	whole := must[*kmsg.FetchResponse](t, c, fetch(s.prize.id, 0, -1), 13)
	if len(whole.Topics) != 1 || whole.Topics[0].Partitions[0].HighWatermark != 3 ||
		bytes.Count(whole.Topics[0].Partitions[0].RecordBatches, []byte(canaryValue)) != 3 {
		t.Errorf("the victim's topic: %+v", whole)
	}
	s.prize.epoch++
	if live := must[*kmsg.FetchResponse](t, s.prize.conn, fetch([16]byte{}, s.prize.session, s.prize.epoch), 13); live.ErrorCode != 0 || live.SessionID != s.prize.session {
		t.Errorf("the victim's fetch session: %+v", live)
	}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Group = canaryGroup
	if got := must[*kmsg.OffsetFetchResponse](t, s.login(t, s.victim, s.prize.group), offsets, 7); len(got.Topics) != 1 || got.Topics[0].Partitions[0].Offset != 2 {
		t.Errorf("the victim's offsets: %+v", got)
	}
}
