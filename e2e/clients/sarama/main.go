// Command sarama produces COUNT records to TOPIC with IBM's Go client, reads
// them back in a group and prints how many. It is a module of its own: Weir
// itself does not need the client.
//
// usage: sarama BOOTSTRAP USER PASSWORD CA TOPIC GROUP COUNT MECHANISM HANDSHAKE
//
// MECHANISM is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; HANDSHAKE is the version
// of SaslHandshake, 0 or 1: after version 0 tokens go bare over the wire.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 9 {
		return errors.New("want 9 arguments")
	}
	brokers, topic, group := []string{args[0]}, args[4], args[5]
	count, err := strconv.Atoi(args[6])
	if err != nil {
		return err
	}
	config, err := configuration(args[1], args[2], args[3], args[7], args[8])
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin(brokers, config)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: -1}, false); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	if err := admin.Close(); err != nil {
		return err
	}
	want, err := produce(brokers, config, topic, count)
	if err != nil {
		return err
	}
	got, err := consume(brokers, config, topic, group, count)
	if err != nil {
		return err
	}
	if got != want {
		return errors.New("checksums differ")
	}
	fmt.Printf("sarama %s handshake v%s %d records, checksum equal\n", args[7], args[8], count)
	return nil
}

func configuration(user, password, ca, mechanism, handshake string) (*sarama.Config, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	version, err := strconv.ParseInt(handshake, 10, 16)
	if err != nil {
		return nil, err
	}
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Net.TLS.Enable = true
	c.Net.TLS.Config = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	c.Net.SASL.Enable = true
	c.Net.SASL.User, c.Net.SASL.Password = user, password
	c.Net.SASL.Mechanism = sarama.SASLMechanism(mechanism)
	c.Net.SASL.Version = int16(version)
	hashes := map[string]scram.HashGeneratorFcn{
		"SCRAM-SHA-256": func() hash.Hash { return sha256.New() },
		"SCRAM-SHA-512": func() hash.Hash { return sha512.New() },
	}
	if h, ok := hashes[mechanism]; ok {
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &conversation{hash: h} }
	}
	c.ApiVersionsRequest = version > 0 // the client demands it
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	return c, nil
}

// conversation is SCRAM as sarama wants it.
type conversation struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

func (c *conversation) Begin(user, password, authz string) error {
	client, err := c.hash.NewClient(user, password, authz)
	if err != nil {
		return err
	}
	c.ClientConversation = client.NewConversation()
	return nil
}

// sum adds up what is independent of the order among partitions.
func sum(all map[int]string) [32]byte {
	h := sha256.New()
	for i := range len(all) {
		fmt.Fprintf(h, "%d=%s\n", i, all[i])
	}
	return [32]byte(h.Sum(nil))
}

func produce(brokers []string, config *sarama.Config, topic string, count int) ([32]byte, error) {
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return [32]byte{}, fmt.Errorf("producer: %w", err)
	}
	defer producer.Close()
	sent := map[int]string{}
	for first := 0; first < count; first += 100 {
		var batch []*sarama.ProducerMessage
		for i := first; i < min(first+100, count); i++ {
			sent[i] = fmt.Sprintf("value-%d", i)
			batch = append(batch, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(strconv.Itoa(i)), Value: sarama.StringEncoder(sent[i])})
		}
		if err := producer.SendMessages(batch); err != nil {
			return [32]byte{}, fmt.Errorf("send: %w", err)
		}
	}
	return sum(sent), nil
}

func consume(brokers []string, config *sarama.Config, topic, group string, count int) ([32]byte, error) {
	members, err := sarama.NewConsumerGroup(brokers, group, config)
	if err != nil {
		return [32]byte{}, fmt.Errorf("group: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := &reader{records: make(chan *sarama.ConsumerMessage)}
	failed := make(chan error, 1)
	go func() { failed <- members.Consume(ctx, []string{topic}, r) }()
	seen := map[int]string{}
	for len(seen) < count {
		select {
		case m := <-r.records:
			i, err := strconv.Atoi(string(m.Key))
			if err != nil {
				return [32]byte{}, err
			}
			seen[i] = string(m.Value)
		case err := <-failed:
			return [32]byte{}, fmt.Errorf("only %d of %d came back: %w", len(seen), count, err)
		}
	}
	cancel()
	return sum(seen), members.Close()
}

// reader hands over what the member is given.
type reader struct{ records chan *sarama.ConsumerMessage }

func (*reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r *reader) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		select {
		case r.records <- m:
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
	return nil
}
