package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The listener's own certificate is replaced 20 times while clients come and stay:
// nobody notices.
func TestReloadUnderLoad(t *testing.T) {
	const replacements, visitors = 20, 4
	d := devCerts{dir: t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		ca, err := d.ensure(time.Now(), certHosts("localhost"))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		var log syncBuffer
		k, err := loadKeyPair(d.serverFile(), d.serverKey(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		server := serverTLS(k.get)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() { _ = k.run(ctx) })

		// dial is a client with its server, which echoes.
		dial := func() (*tls.Conn, error) {
			near, far := net.Pipe()
			wg.Go(func() {
				s := tls.Server(far, server)
				_, _ = io.Copy(s, s)
				_ = far.Close()
			})
			c := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, Time: time.Now})
			return c, c.HandshakeContext(t.Context())
		}
		echo := func(c *tls.Conn, text string) error {
			if _, err := io.WriteString(c, text); err != nil {
				return err
			}
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
				return fmt.Errorf("%q came back as %q: %w", text, got, err)
			}
			return nil
		}
		var handshakes, failed atomic.Int64
		seen := sync.Map{} // serial numbers
		note := func(err error) {
			if err != nil {
				failed.Add(1)
				t.Error(err)
			}
		}
		for v := range visitors {
			wg.Go(func() {
				for {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration(900+v*70) * time.Millisecond): // virtual
					}
					c, err := dial()
					if handshakes.Add(1); err == nil {
						seen.Store(c.ConnectionState().PeerCertificates[0].SerialNumber.String(), true)
						err = echo(c, "visitor")
					}
					note(err)
					_ = c.NetConn().Close()
				}
			})
		}
		stays, err := dial()
		note(err)
		for i := range replacements {
			if err := os.Remove(d.serverFile()); err != nil {
				t.Fatal(err)
			}
			if _, err := d.ensure(time.Now(), certHosts("localhost")); err != nil {
				t.Fatal(err)
			}
			<-time.After(reloadEvery + time.Second) // virtual
			note(echo(stays, fmt.Sprint("still here ", i)))
		}
		_ = stays.NetConn().Close()
		different := 0
		seen.Range(func(any, any) bool { different++; return true })
		if different < replacements {
			t.Errorf("clients saw %d certificates, %d were made", different, replacements+1)
		}
		t.Logf("%d replacements, %d handshakes, %d certificates seen, %d errors", replacements, handshakes.Load(), different, failed.Load())
	})
}
