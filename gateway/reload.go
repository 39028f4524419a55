package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// reloadEvery is how often certificate files are looked at. A watch on the
// file system would miss the way Kubernetes swaps a folder of links.
const reloadEvery = 10 * time.Second

// keyPair is a certificate that follows its files. The present one is
// immutable and swapped whole, so that a handshake sees one pair or the other.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	now  atomic.Pointer[tls.Certificate]
	seen stamps // run only (and loadKeyPair)
}

// stamps tell one version of the two files from the next.
type stamps [2]os.FileInfo // nil: not there

func (s stamps) equal(other stamps) bool {
	for i, a := range s {
		b := other[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		// A file that replaced another may have its time and size.
		if !os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size() {
			return false
		}
	}
	return true
}

// loadKeyPair reads the pair once; an error here is an error of the start.
func loadKeyPair(certFile, keyFile string, log *slog.Logger) (*keyPair, error) {
	k := &keyPair{certFile: certFile, keyFile: keyFile, log: log}
	k.seen = k.stamps()
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// get is tls.Config.GetCertificate. Any goroutine.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.now.Load(), nil
}

// run follows the files until ctx ends. A pair that does not load (the two
// files are rarely written at one moment) is logged, and the old one kept.
func (k *keyPair) run(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// Looked at before loading: a file that is written meanwhile is seen to
		// have changed again at the next tick.
		seen := k.stamps()
		if seen.equal(k.seen) {
			continue
		}
		k.seen = seen
		if err := k.load(); err != nil {
			k.log.Error("certificate not reloaded, the old one stays", "file", k.certFile, "err", err)
			continue
		}
		k.log.Info("certificate reloaded", "file", k.certFile, "until", k.now.Load().Leaf.NotAfter)
	}
}

func (k *keyPair) load() error {
	c, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return err
	}
	k.now.Store(&c)
	return nil
}

func (k *keyPair) stamps() (out stamps) {
	for i, name := range []string{k.certFile, k.keyFile} {
		if info, err := os.Stat(name); err == nil {
			out[i] = info
		}
	}
	return out
}
