//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// attackEnv holds the attack that a process of this test binary is to be.
	attackEnv  = "WEIR_E2E_ATTACK"
	attackRate = 500 // attempts a second
	// attackSlots is how many may be under way: as many as a botnet would have.
	attackSlots = 200
)

// stuffer is a process of its own, of the lowest priority: what its TLS costs is not what
// it costs those whom it attacks.
type stuffer struct {
	Address string
	From    int // addresses
}

// attacked is what came of it.
type attacked struct{ Attempts, Wrong, Closed, Entered int64 }

func (a *attacked) add(b attacked) {
	a.Attempts += b.Attempts
	a.Wrong += b.Wrong
	a.Closed += b.Closed
	a.Entered += b.Entered
}

func (a stuffer) start(t *testing.T) (stop func() attacked) {
	t.Helper()
	spec, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), attackEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (result attacked) {
		_ = in.Close()
		if err := json.NewDecoder(out).Decode(&result); err != nil {
			t.Errorf("the attacker: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attacker: %v", err)
		}
		return result
	}
}

// attacking is this process being an attack, until its input ends.
type attacking struct {
	stuffer
	attempts, wrong, closed, entered atomic.Int64
}

// beAttack returns whether this process was one.
func beAttack() bool {
	spec, ok := os.LookupEnv(attackEnv)
	if !ok {
		return false
	}
	a := &attacking{}
	if err := json.Unmarshal([]byte(spec), &a.stuffer); err != nil {
		panic(err)
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	a.run(ctx)
	_ = json.NewEncoder(os.Stdout).Encode(attacked{a.attempts.Load(), a.wrong.Load(), a.closed.Load(), a.entered.Load()})
	return true
}

func (a *attacking) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(time.Second / attackRate)
	defer tick.Stop()
	slots := make(chan struct{}, attackSlots)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
			all.Go(func() {
				a.attempt(ctx, n%a.From)
				<-slots
			})
		default:
		}
	}
}

// attempt is one: PLAIN with a wrong password, from one of the attacker's addresses.
func (a *attacking) attempt(ctx context.Context, from int) {
	n := a.attempts.Add(1)
	answered, err := a.try(ctx, fmt.Sprintf("127.0.9.%d", from+1), "wrong password "+strconv.Itoa(int(n)))
	switch {
	case err != nil || answered == nil:
		a.closed.Add(1)
	case answered.ErrorCode == 0:
		a.entered.Add(1)
	default:
		a.wrong.Add(1)
	}
}

func (a *attacking) try(ctx context.Context, from, password string) (*kmsg.SASLAuthenticateResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}},
		// Whom it attacks is the same to it.
		Config: &tls.Config{ServerName: "i-good.kafka.localhost", InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
	conn, err := d.DialContext(ctx, "tcp", a.Address)
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
	auth.SASLAuthBytes = []byte("\x00app\x00" + password)
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
