package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sasl logs in.
func (w *walk) sasl(ctx context.Context) (string, error) {
	text := w.conn.Mechanism + " as " + w.conn.Username
	if err := w.greet(ctx); err != nil {
		return "closed before an answer", w.notKafka(ctx, err)
	}
	opts, err := clientOptions(w.conn)
	if err != nil {
		return text, err
	}
	w.client, err = kgo.NewClient(append(opts, kgo.SeedBrokers(w.addr), kgo.RequestRetries(1))...)
	if err != nil {
		return text, err
	}
	err = w.client.Ping(ctx)
	switch {
	case err == nil:
		w.inside = true
		return text, nil
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return text, w.cut(ctx, "authentication-failed", fmt.Sprintf("%s does not let %s in", w.addr, w.conn.Username),
			"a wrong user name or password, a user that is disabled, or an address that is in none of the instance's networks")
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return text, w.failed("mechanism-unsupported", fmt.Sprintf("%s does not offer %s", w.addr, w.conn.Mechanism), err)
	}
	return text, w.cut(ctx, "closed-in-login", w.addr+" closed the connection during the login",
		"an address that is in none of the instance's networks, or too many logins at once")
}

// notKafka says why there was no answer to the first request.
func (w *walk) notKafka(ctx context.Context, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if !w.conn.TLS {
		c, tlsErr := w.secure(ctx, w.addr, &tls.ConnectionState{})
		if tlsErr == nil {
			_ = c.Close()
		}
		var bad *certificateError
		if tlsErr == nil || errors.As(tlsErr, &bad) {
			return w.failed("plaintext-on-tls-port", w.addr+" speaks TLS: set security.protocol=SASL_SSL and trust the gateway's CA", err)
		}
	}
	return w.cut(ctx, "closed-in-login", w.addr+" closed the connection before it answered", "a port that speaks something else than Kafka")
}

// metadata asks for the brokers and connects to each of their addresses.
func (w *walk) metadata(ctx context.Context) (string, error) {
	meta, err := kadm.NewClient(w.client).BrokerMetadata(ctx)
	if err != nil {
		if closed(err) {
			return "no answer", w.closedInside(ctx)
		}
		return "no answer", w.failed("metadata-failed", fmt.Sprintf("%s does not say which brokers there are: %s", w.addr, err), err)
	}
	text := fmt.Sprintf("%d brokers, all reached", len(meta.Brokers))
	for _, b := range meta.Brokers {
		addr := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		var c net.Conn
		if w.conn.TLS {
			c, err = w.secure(ctx, addr, &tls.ConnectionState{})
		} else {
			c, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
		if err != nil {
			return fmt.Sprintf("broker %d at %s", b.NodeID, addr),
				w.failed("broker-address", fmt.Sprintf("broker %d at %s cannot be reached from here: %s", b.NodeID, addr, shortNet(err)), err)
		}
		_ = c.Close()
	}
	return text, nil
}

// produce writes one record. It is metered as any other: what tells a check from a client
// could be said by a client as well.
func (w *walk) produce(ctx context.Context) (string, error) {
	text := "to " + w.cmd.Topic
	if w.topic = w.cmd.Topic; w.topic == "" {
		w.topic = "weir-check-" + strings.ToLower(rand.Text()[:8])
		text = "to " + w.topic + ", made for this and deleted"
		_, err := kadm.NewClient(w.client).CreateTopic(ctx, 1, -1, nil, w.topic)
		w.made = err == nil || ctx.Err() != nil // it may be
		if err != nil {
			return text, w.mayNot(ctx, "make a topic", err)
		}
	}
	rec := &kgo.Record{Topic: w.topic, Value: []byte("weir connection check")}
	done := make(chan error, 1)
	// Not ProduceSync: what was sent once the client gives up only when it has an answer.
	w.client.Produce(ctx, rec, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return text, w.mayNot(ctx, "write to "+w.topic, err)
		}
	case <-ctx.Done():
		return text, w.held(ctx.Err(), "the record that was written is not acknowledged")
	}
	w.at = rec
	return text, nil
}

// held is for what takes longer than anybody should wait.
func (w *walk) held(err error, what string) error {
	f := &failure{code: "timed-out", exit: exitTimeout, err: err, message: fmt.Sprintf("%s within %s", what, stepTimeout)}
	if w.instance.Instance != "" {
		f.try = []string{"weir throttle list " + w.instance.typed() + "      says whether a limit holds it back"}
	}
	return f
}

// closed is whether it was the other side that ended a connection.
func closed(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// closedInside is for a further connection of who was let in with the first one.
func (w *walk) closedInside(ctx context.Context) error {
	return w.cut(ctx, "connection-closed", w.addr+" let "+w.conn.Username+" in, and then closed another connection",
		"more connections than the instance may have")
}

// mayNot is for what a broker refuses.
func (w *walk) mayNot(ctx context.Context, what string, err error) error {
	if closed(err) {
		return w.closedInside(ctx)
	}
	if ctx.Err() != nil {
		return w.held(err, "there is no answer to the attempt to "+what)
	}
	if !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		return topicError(w.topic, err)
	}
	f := &failure{code: "not-authorized", exit: exitNotAllowed, err: err, message: fmt.Sprintf("%s may not %s", w.conn.Username, what)}
	if w.instance.Instance != "" {
		f.try = []string{"weir acl list " + w.instance.typed()}
	}
	if w.cmd.Topic == "" {
		f.try = append(f.try, "weir connection check "+strings.TrimSpace(ofInstance{w.cmd.Instance, w.cmd.instanceTenant}.typed()+" --topic NAME")+"      one that it may use")
	}
	return f
}

// fetch reads the record back.
func (w *walk) fetch(ctx context.Context) (string, error) {
	text := fmt.Sprintf("from %s, offset %d", w.topic, w.at.Offset)
	w.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{w.topic: {w.at.Partition: kgo.NewOffset().At(w.at.Offset)}})
	for {
		got := w.client.PollFetches(ctx)
		for _, e := range got.Errors() {
			if ctx.Err() != nil {
				return text, w.held(e.Err, "the record that was written does not arrive")
			}
			return text, w.mayNot(ctx, "read from "+w.topic, e.Err)
		}
		for _, r := range got.Records() {
			if r.Partition == w.at.Partition && r.Offset == w.at.Offset {
				return text, nil
			}
		}
	}
}

// cleanUp deletes the topic that was made, also after ^C.
func (w *walk) cleanUp(ctx context.Context) {
	if !w.made {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := kadm.NewClient(w.client).DeleteTopic(ctx, w.topic)
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		say(w.e.err, "topic %s is still there: %v\n", w.topic, err)
	}
}
