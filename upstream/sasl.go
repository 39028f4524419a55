package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// maxSessionLifetime keeps an absurd session_lifetime_ms from overflowing a
// time.Duration; no connection lives a year.
const maxSessionLifetime = 365 * 24 * time.Hour

// errRefused is an authentication that failed although the broker is there.
var errRefused = errors.New("the broker refused the credentials")

// authenticate proves who a connection is of (SaslHandshake v1 and SaslAuthenticate
// v1, KIP-152 and KIP-368: Kafka 2.2 and newer) and returns when the broker
// will ask for it again, counted from before the last message was sent, so
// never later than the broker's own count; zero if it never will.
func authenticate(ctx context.Context, t *talker, mech sasl.Mechanism, host string) (expires time.Time, err error) {
	if err := handshake(t, mech.Name()); err != nil {
		return time.Time{}, err
	}
	session, out, err := mech.Authenticate(ctx, host)
	if err != nil {
		return time.Time{}, fmt.Errorf("sasl %s: %w", mech.Name(), err)
	}
	var lifetime time.Duration
	var sent time.Time
	// The mechanism may have a last word after it is done; the broker answers that too.
	for done := false; !done || len(out) > 0; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.Version = 1
		req.SASLAuthBytes = out
		sent = time.Now()
		answer, err := t.ask(req)
		if errors.Is(err, io.EOF) { // how brokers refused before KIP-152, and kfake does
			return time.Time{}, fmt.Errorf("sasl %s: %w: %w", mech.Name(), errRefused, err)
		}
		if err != nil {
			return time.Time{}, err
		}
		resp := answer.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return time.Time{}, fmt.Errorf("sasl %s: %w: %w", mech.Name(), errRefused, err)
		}
		lifetime = time.Duration(min(resp.SessionLifetimeMillis, maxSessionLifetime.Milliseconds())) * time.Millisecond
		out = nil
		if !done {
			if done, out, err = session.Challenge(resp.SASLAuthBytes); err != nil {
				return time.Time{}, fmt.Errorf("sasl %s: %w: %w", mech.Name(), errRefused, err)
			}
		}
	}
	if lifetime <= 0 {
		return time.Time{}, nil
	}
	return sent.Add(lifetime), nil
}

func handshake(t *talker, mechanism string) error {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Version = 1
	req.Mechanism = mechanism
	answer, err := t.ask(req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.SASLHandshakeResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("sasl handshake for %s: %w: %w: the broker offers %s", mechanism, errRefused, err, strings.Join(resp.SupportedMechanisms, ", "))
	}
	return nil
}
