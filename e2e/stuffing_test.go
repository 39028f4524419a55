//go:build real

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/parts"
)

const (
	stuffingRate   = 500 // attempts a second
	stuffingWindow = 4 * time.Second
	goodClients    = 4
)

// stuffingWindows is how many windows of each kind there are. The ratio that a run
// with one of them prints under the race detector, beside others, means nothing: measure
// on a quiet machine, without -race, with 5.
var stuffingWindows = flag.Int("stuffing-windows", 1, "windows of TestCredentialStuffing, of each kind")

// TestCredentialStuffing sends 500 wrong passwords a second at a user that there
// is, while clients of the same instance work: quiet windows and attacked ones
// take turns. It prints the ratio of their p99, which is a measurement and not
// asserted; that nobody gets in and no good client fails is.
func TestCredentialStuffing(t *testing.T) {
	w := newWorldOn(t, parts.StartKafka(t, 1))
	g := w.start("g1")
	in := w.create(g, "i-good")
	w.createTopic(w.client(in), "good", goodClients)
	for _, from := range []int{1, 200} { // attacker's addresses
		t.Run(fmt.Sprintf("from %d addresses", from), func(t *testing.T) {
			s := &stuffing{world: w, in: in, from: from}
			var quiet, attacked []time.Duration
			var idleCPU, attackCPU float64
			for range *stuffingWindows {
				before := cpuSeconds(t, g.Pid())
				quiet = append(quiet, s.work(t)...)
				between := cpuSeconds(t, g.Pid())
				stop := s.attack(t)
				attacked = append(attacked, s.work(t)...)
				stop()
				idleCPU, attackCPU = idleCPU+between-before, attackCPU+cpuSeconds(t, g.Pid())-between
			}
			q50, q99 := quantiles(quiet)
			a50, a99 := quantiles(attacked)
			t.Logf("quiet     p50 %v p99 %v, %d produced, gateway %.2f CPU s", q50, q99, len(quiet), idleCPU)
			t.Logf("attacked  p50 %v p99 %v, %d produced, gateway %.2f CPU s", a50, a99, len(attacked), attackCPU)
			t.Logf("p99 ratio %.2f; %d attempts: %d told that the password is wrong, %d closed before that, %d got in",
				float64(a99)/float64(q99), s.attempts.Load(), s.wrong.Load(), s.closed.Load(), s.entered.Load())
			if s.entered.Load() > 0 {
				t.Errorf("%d attempts got in", s.entered.Load())
			}
			if s.attempts.Load() == 0 {
				t.Error("no attempt was made")
			}
		})
	}
}

// stuffing is one attack.
type stuffing struct {
	*world
	in   instance
	from int

	attempts, wrong, closed, entered atomic.Int64
}

// work produces for one window and returns how long each record took.
func (s *stuffing) work(t *testing.T) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stuffingWindow)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var workers sync.WaitGroup
	for i := range goodClients {
		cl, err := kgo.NewClient(s.options(s.in, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		workers.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				err := cl.ProduceSync(ctx, &kgo.Record{Topic: "good", Partition: int32(i), Value: make([]byte, 100)}).FirstErr()
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Errorf("a good client: %v", err)
					return
				}
				mu.Lock()
				all = append(all, time.Since(begin))
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return all
}

// attack runs until stop is called.
func (s *stuffing) attack(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / stuffingRate)
		defer tick.Stop()
		slots := make(chan struct{}, 200)
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case slots <- struct{}{}:
				all.Go(func() {
					s.attempt(ctx, n%s.from)
					<-slots
				})
			default: // 200 are waiting: as many as a botnet would have
			}
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

// attempt is one: PLAIN with a wrong password, from one of the attacker's addresses.
func (s *stuffing) attempt(ctx context.Context, from int) {
	s.attempts.Add(1)
	answered, err := s.try(ctx, fmt.Sprintf("127.0.9.%d", from+1))
	switch {
	case err != nil || answered == nil:
		s.closed.Add(1)
	case answered.ErrorCode == 0:
		s.entered.Add(1)
	default:
		s.wrong.Add(1)
	}
}

func (s *stuffing) try(ctx context.Context, from string) (*kmsg.SASLAuthenticateResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}},
		Config:    &tls.Config{RootCAs: s.roots, ServerName: "i-good.kafka.localhost", MinVersion: tls.VersionTLS12},
	}
	conn, err := d.DialContext(ctx, "tcp", s.bootstrap())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.SetVersion(1)
	hello.Mechanism = "PLAIN"
	if _, err := exchangeOn(conn, hello); err != nil {
		return nil, err
	}
	auth := kmsg.NewPtrSASLAuthenticateRequest()
	auth.SetVersion(2)
	auth.SASLAuthBytes = []byte("\x00app\x00wrong password " + strconv.Itoa(int(s.attempts.Load())))
	body, err := exchangeOn(conn, auth)
	if err != nil {
		return nil, err
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(2)
	return resp, resp.ReadFrom(body)
}

// exchangeOn sends a request and returns the answer's body.
func exchangeOn(conn net.Conn, req kmsg.Request) ([]byte, error) {
	frame := new(kmsg.RequestFormatter).AppendRequest(nil, req, 1)
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	length := int(size[0])<<24 | int(size[1])<<16 | int(size[2])<<8 | int(size[3])
	answer := make([]byte, min(length, 1<<20))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	skip := 4
	if req.IsFlexible() {
		skip = 5
	}
	return answer[skip:], nil
}

// quantiles are the 50th and the 99th.
func quantiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond)
}

// cpuSeconds is what a process has used so far (proc(5): utime and stime, 100 a second).
func cpuSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var sum float64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseFloat(string(f), 64)
		sum += n
	}
	return sum / 100
}
