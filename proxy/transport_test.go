package proxy

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// send64 sends an answer of 100 times 64 KiB to a client that reads one of them
// every pause.
func send64(t *testing.T, pause time.Duration) (took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 64<<10)
			for {
				if _, err := io.ReadFull(theirs, buf); err != nil {
					return
				}
				time.Sleep(pause) // virtual
			}
		}()
		tr := &transport{Conn: ours}
		begin := time.Now()
		tr.hold()
		for i := 0; i < 100 && err == nil; i++ {
			_, err = tr.Write(make([]byte, 64<<10))
		}
		if ferr := tr.flush(); err == nil {
			err = ferr
		}
		took = time.Since(begin)
		_ = ours.Close()
		<-done
	})
	return took, err
}

// A client that reads, but as slowly as it may without any one write taking
// long, does not hold an answer for hours.
func TestDrippingReaderIsGivenUp(t *testing.T) {
	if took, err := send64(t, 50*time.Second); !isTimeout(err) || took > 3*time.Minute {
		t.Errorf("after %s: %v", took, err)
	}
	if took, err := send64(t, time.Second); err != nil {
		t.Errorf("64 KiB a second: %v after %s", err, took)
	}
}
