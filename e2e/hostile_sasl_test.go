package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestHostileStranger is who has credentials of one instance, or none.
func TestHostileStranger(t *testing.T) {
	p := newInProcess(t)
	a, v := p.attacker, p.victim
	for name, test := range map[string]struct {
		sni   string
		token string
	}{
		"other instance's name":        {"", "\x00app@i-victim\x00" + a.password + "x"},
		"SNI of the other":             {"i-victim.kafka.localhost", "\x00" + a.user + "\x00" + a.password},
		"SNI of the other's broker":    {"b0-i-victim.kafka.localhost", "\x00" + a.user + "\x00" + a.password},
		"SNI in capitals":              {"I-VICTIM.kafka.localhost", "\x00" + a.user + "\x00" + a.password},
		"authzid of the other":         {"", v.user + "\x00" + a.user + "\x00" + a.password},
		"no authcid":                   {"", "\x00\x00" + a.password},
		"a NUL in the password":        {"", "\x00" + a.user + "\x00" + a.password + "\x00"},
		"a NUL in the name":            {"", "\x00" + a.user + "\x00\x00" + a.password},
		"no NUL":                       {"", a.user + a.password},
		"two instances":                {"", "\x00app@i-victim@i-raider\x00" + a.password},
		"two instances, other way":     {"", "\x00app@i-raider@i-victim\x00" + a.password},
		"instance with a dot":          {"", "\x00app@i-raider.\x00" + a.password},
		"instance in capitals":         {"", "\x00app@I-RAIDER\x00" + a.password},
		"a space behind":               {"", "\x00" + a.user + " \x00" + a.password},
		"nothing":                      {"", ""},
		"60 KiB":                       {"", "\x00" + a.user + "\x00" + strings.Repeat("x", 60<<10)},
		"not UTF-8":                    {"", "\x00" + a.user + "\xff\x00" + a.password},
		"SASLprep of the name is mine": {"", "\x00app\u00ad@i-raider\x00" + a.password},
	} {
		t.Run(name, func(t *testing.T) {
			c := p.dial(t, -1, test.sni)
			if _, err := c.handshake("PLAIN"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.token([]byte(test.token)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("%v, want the one error there is", err)
			}
			c.closes(t)
		})
	}
}

// TestReauthentication: a session stays who it is (KIP-368).
func TestReauthentication(t *testing.T) {
	p := newInProcess(t)
	for name, as := range map[string]account{"the same": p.attacker, "another instance": p.victim} {
		c := p.login(t, p.attacker, -1)
		c.mine = ""
		err := c.login(as.user, as.password)
		if (err == nil) != (as == p.attacker) {
			t.Errorf("re-authentication as %s: %v", name, err)
		}
		if as == p.victim {
			c.closes(t)
		}
	}
	// Nothing is served in between.
	c := p.login(t, p.attacker, -1)
	if _, err := c.handshake("PLAIN"); err != nil {
		t.Fatal(err)
	}
	c.write(3, 9, []byte{0, 0, 0, 0, 0})
	c.closes(t)
}

// TestScramReplay sends what somebody else has sent before.
func TestScramReplay(t *testing.T) {
	p := newInProcess(t)
	first := []byte("n,,n=" + p.victim.user + ",r=fyko+d2lbbFgONRv9qkxdawL")
	start := func() (*raw, string) {
		c := p.dial(t, -1, "")
		if _, err := c.handshake("SCRAM-SHA-512"); err != nil {
			t.Fatal(err)
		}
		challenge, err := c.token(first)
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(strings.TrimPrefix(string(challenge), "r="), ",")
		return c, nonce
	}
	_, old := start()
	proof := base64.StdEncoding.EncodeToString(make([]byte, 64))
	for name, final := range map[string]func(fresh string) string{
		"the nonce of another conversation": func(string) string { return "c=biws,r=" + old + ",p=" + proof },
		"the client's part of it":           func(string) string { return "c=biws,r=fyko+d2lbbFgONRv9qkxdawL,p=" + proof },
		"no proof":                          func(fresh string) string { return "c=biws,r=" + fresh },
		"a proof of nothing":                func(fresh string) string { return "c=biws,r=" + fresh + ",p=" },
		"a proof of zeros":                  func(fresh string) string { return "c=biws,r=" + fresh + ",p=" + proof },
		"channel binding":                   func(fresh string) string { return "c=cD10bHMtdW5pcXVlLCw=,r=" + fresh + ",p=" + proof },
		"the first message again":           func(string) string { return string(first) },
	} {
		c, fresh := start()
		if fresh == old {
			t.Fatal("the server's nonce repeats")
		}
		if _, err := c.token([]byte(final(fresh))); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", name, err)
		}
		c.closes(t)
	}
}

// TestNoInstanceIsToldFromAnother: what a stranger sees of an instance that
// there is, and of one that there is not, is the same in bytes, however often
// and in whatever order he asks.
func TestNoInstanceIsToldFromAnother(t *testing.T) {
	p := newInProcess(t)
	see := func(instance, mechanism string, tries int) string {
		var seen strings.Builder
		for range tries {
			c := p.dial(t, -1, "")
			if _, err := c.handshake(mechanism); err != nil {
				t.Fatal(err)
			}
			token := "\x00guess@" + instance + "\x00wrong"
			if mechanism != "PLAIN" {
				token = "n,,n=guess@" + instance + ",r=fyko+d2lbbFgONRv9qkxdawL"
			}
			req := kmsg.NewPtrSASLAuthenticateRequest()
			req.SetVersion(2)
			req.SASLAuthBytes = []byte(token)
			body, err := c.bytes(36, 2, req.AppendTo(nil))
			resp := kmsg.NewPtrSASLAuthenticateResponse()
			resp.SetVersion(2)
			if err != nil || resp.ReadFrom(body) != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&seen, "%d %q %d/", resp.ErrorCode, str(resp.ErrorMessage), len(resp.SASLAuthBytes))
			if mechanism != "PLAIN" && resp.ErrorCode == 0 { // give up: nothing was checked
				final := kmsg.NewPtrSASLAuthenticateRequest()
				final.SetVersion(2)
				final.SASLAuthBytes = bytes.Repeat([]byte("x"), 20)
				_, _ = c.bytes(36, 2, final.AppendTo(nil))
			}
			_ = c.Close()
		}
		return seen.String()
	}
	const exhausts = 13 // failures than a stranger has free
	see("i-nobody-0", "SCRAM-SHA-256", exhausts)
	for _, mechanism := range []string{"SCRAM-SHA-256", "PLAIN"} {
		unknown, known := see("i-nobody-1", mechanism, 1), see("i-victim", mechanism, 1)
		if unknown != known {
			t.Errorf("%s after failures elsewhere: unknown %s, known %s", mechanism, unknown, known)
		}
	}
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
