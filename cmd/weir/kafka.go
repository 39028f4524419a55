package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/admin/clientfiles"
)

// connectTimeout is how long the first answer of an instance may take.
const connectTimeout = 10 * time.Second

// connectionFlags say to which instance the topic commands talk.
type connectionFlags struct {
	Config string `help:"client.properties or client.env of an instance. Default: client.env in the nearest .weir." placeholder:"FILE"`
}

// dial connects and authenticates, so that a wrong address or password is told
// at once and in one sentence.
func (c connectionFlags) dial(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	path := c.Config
	if path == "" {
		found, ok := nearest(clientfiles.EnvFile)
		if !ok {
			return nil, notHere("no --config given, and no .weir/client.env here or above", "weir topic ... --config FILE")
		}
		path = found
	}
	conn, err := clientfiles.Load(path)
	if err != nil {
		return nil, badClientFile(path, err)
	}
	base, err := clientOptions(conn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := cl.Ping(first); err != nil {
		cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, kafkaError(conn, err)
	}
	return cl, nil
}

// badClientFile is for a file that cannot be read, or is another kind of file.
func badClientFile(path string, err error) error {
	var missing *fs.PathError
	if errors.As(err, &missing) {
		return unreadable("--config", path, err)
	}
	return &failure{
		code: "client-file", exit: exitFailed, err: err, message: err.Error(),
		try: []string{"weir topic ... --config FILE      a client.properties or client.env that weir wrote"},
	}
}

func clientOptions(c clientfiles.Connection) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Bootstrap...),
		kgo.ClientID("weir-cli"),
		kgo.RequestRetries(3), // a person waits; a client that serves would keep trying
		kgo.RecordDeliveryTimeout(30 * time.Second),
	}
	switch c.Mechanism {
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.Username, Pass: c.Password}.AsSha256Mechanism()))
	default:
		opts = append(opts, kgo.SASL(scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism()))
	}
	if !c.TLS {
		return opts, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != nil {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the CA is not a PEM certificate")
		}
	}
	return append(opts, kgo.DialTLSConfig(cfg)), nil
}

// kafkaError makes one sentence and a code of how a first connection failed.
func kafkaError(c clientfiles.Connection, err error) error {
	addr := strings.Join(c.Bootstrap, ",")
	var unknownCA x509.UnknownAuthorityError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return &failure{
			code: "authentication-failed", exit: exitNotAllowed, err: err,
			message: fmt.Sprintf("%s refused user %s: wrong password, or no such user", addr, c.Username),
			try:     []string{"weir connection check --config FILE      says why"},
		}
	case errors.As(err, &unknownCA):
		return &failure{
			code: "certificate-unknown", exit: exitFailed, err: err,
			message: fmt.Sprintf("%s has a certificate that the client file's CA did not sign", addr),
		}
	}
	return unreachable("Kafka", addr, err)
}

// topicError is for what a broker says about one topic.
func topicError(topic string, err error) error {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return err
	}
	f := &failure{code: "kafka-" + strings.ToLower(strings.ReplaceAll(k.Message, "_", "-")), exit: exitFailed, err: err}
	f.message = fmt.Sprintf("topic %s: %s", topic, strings.ToLower(strings.TrimSuffix(k.Description, ".")))
	switch k {
	case kerr.PolicyViolation, kerr.MessageTooLarge, kerr.ThrottlingQuotaExceeded:
		f.exit = exitLimit
		f.try = []string{"weir throttle list INSTANCE      says which limit, and what to do"}
	case kerr.UnknownTopicOrPartition:
		f.code, f.exit = "topic-not-found", exitNotFound
		f.message = "there is no topic " + topic
		f.try = []string{"weir topic list", "weir topic create " + topic}
	case kerr.TopicAlreadyExists:
		f.code, f.exit = "topic-exists", exitConflict
		f.message = "there is a topic " + topic
	case kerr.TopicAuthorizationFailed:
		f.exit = exitNotAllowed
	case kerr.InvalidTopicException:
		f.code, f.exit = "topic-name-invalid", exitUsage
		f.message = fmt.Sprintf("%q is no topic name: want letters, digits, '.', '_' and '-', not too many", topic)
	case kerr.InvalidPartitions, kerr.InvalidReplicationFactor:
		f.exit = exitUsage
	}
	return f
}

// topicRefused is topicError with what the answer said besides its code, "" if nothing:
// a limit that is reached has one code for all limits, and only the text has its value.
func topicRefused(topic string, err error, said string) error {
	refused := topicError(topic, err)
	var f *failure
	if errors.As(refused, &f) && f.exit == exitLimit && said != "" {
		f.message, f.try = fmt.Sprintf("topic %s: %s", topic, strings.TrimSuffix(said, ".")), nil
	}
	return refused
}
