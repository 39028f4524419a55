package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReload(t *testing.T) {
	d := devCerts{dir: t.TempDir()}
	renew := func() {
		t.Helper()
		os.Remove(d.serverFile())
		if _, err := d.ensure(time.Now(), certHosts("localhost")); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		renew()
		var log syncBuffer
		k, err := loadKeyPair(d.serverFile(), d.serverKey(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		present := func() *tls.Certificate {
			c, err := k.get(nil)
			if err != nil || c == nil {
				t.Fatal(err)
			}
			return c
		}
		pass := func() {
			<-time.After(reloadEvery + time.Second) // virtual
			synctest.Wait()
		}

		first := present()
		pass()
		if present() != first || log.String() != "" {
			t.Errorf("loaded again though nothing changed; log: %s", log.String())
		}
		renew()
		pass()
		second := present()
		if bytes.Equal(first.Certificate[0], second.Certificate[0]) {
			t.Error("the new certificate is not used")
		}

		log.Reset()
		good, err := os.ReadFile(d.serverFile())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.serverFile(), []byte("half a cert"), 0o600); err != nil {
			t.Fatal(err)
		}
		pass()
		pass()
		if present() != second || strings.Count(log.String(), "the old one stays") != 1 {
			t.Errorf("a broken file must be logged once and the old certificate stay; log: %s", log.String())
		}
		os.Remove(d.serverFile())
		pass()
		if present() != second {
			t.Error("a missing file ended the certificate")
		}
		if err := os.WriteFile(d.serverFile(), good, 0o600); err != nil {
			t.Fatal(err)
		}
		pass()
		if c := present(); c == second || !bytes.Equal(c.Certificate[0], second.Certificate[0]) {
			t.Error("the repaired file was not loaded")
		}
	})
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}
