package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestCloseDoesNotWaitForTheBroker: a broker that was stopped after the
// handshake reads no close_notify, and holds nobody up by that.
func TestCloseDoesNotWaitForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, roots := certificate(t, []string{"broker.internal"}, nil)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		broker := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12})
		go func() { _ = broker.Handshake() }()
		p, err := NewPool(Config{
			Name: "p1", Bootstrap: []string{"broker.internal:9092"}, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.connect(t.Context(), "broker.internal:9092", nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %s", took)
		}
	})
}
