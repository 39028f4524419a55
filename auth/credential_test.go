package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"pgregory.net/rapid"
)

func TestNewCredentials(t *testing.T) {
	creds, err := NewCredentials(testPepper(), nil, alicePassword)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NewCredentials(testPepper(), nil, alicePassword)
	for i, want := range []struct {
		mechanism string
		size      int
	}{{ScramSHA256, 32}, {ScramSHA512, 64}} {
		c := creds[i]
		if c.Mechanism != want.mechanism || len(c.Salt) != 16 || c.Iterations != 8192 ||
			len(c.StoredKey) != want.size || len(c.ServerKey) != want.size {
			t.Errorf("%+v", c)
		}
		if bytes.Equal(c.Salt, again[i].Salt) || bytes.Equal(c.StoredKey, again[i].StoredKey) {
			t.Errorf("%s: two credentials of a password are equal", c.Mechanism)
		}
	}
	plain := creds[2]
	if len(creds) != 3 || plain.Mechanism != Plain || len(plain.Salt) != 16 || len(plain.StoredKey) != 32 || plain.ServerKey != nil || plain.Iterations != 0 {
		t.Errorf("%d credentials, the last %+v", len(creds), plain)
	}
	if bytes.Equal(creds[0].Salt, creds[1].Salt) || bytes.Equal(creds[1].Salt, plain.Salt) || bytes.Equal(plain.StoredKey, again[2].StoredKey) {
		t.Error("salts or hashes are not each their own")
	}
	broken := errors.New("no entropy")
	if _, err := NewCredentials(testPepper(), iotest.ErrReader(broken), alicePassword); !errors.Is(err, broken) {
		t.Errorf("with a broken source: %v", err)
	}
}

// The keys of RFC 7677 section 3 (user "user", password "pencil"), as
// PostgreSQL writes them for the same salt.
func TestDeriveKeysVector(t *testing.T) {
	b64 := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stored, server, err := deriveKeys(ScramSHA256, "pencil", b64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, b64("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=")) ||
		!bytes.Equal(server, b64("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")) {
		t.Errorf("stored key %x, server key %x", stored, server)
	}
}

func TestPasswordRules(t *testing.T) {
	for name, tc := range map[string]struct {
		password string
		rule     string // "" if accepted
	}{
		"shortest":            {"12345678", ""},
		"longest":             {strings.Repeat("x", 256), ""},
		"punctuation, spaces": {`a b,c=d@e"f'`, ""},
		"composed letters":    {"pässwörter", ""},
		"too short":           {"1234567", "8 to 256 bytes"},
		"empty":               {"", "8 to 256 bytes"},
		"too long":            {strings.Repeat("x", 257), "8 to 256 bytes"},
		"newline":             {"password\n", "control"},
		"NUL":                 {"pass\x00word", "control"},
		"C1 control":          {"pass\u0085word", "control"},
		"not UTF-8":           {"password\xff", "UTF-8"},
		"decomposed letters":  {"pa\u0308sswort", "RFC 4013"},
		"no-break space":      {"pass\u00a0word", "RFC 4013"},
		"soft hyphen":         {"pass\u00adword", "RFC 4013"},
		"emoji":               {"password😀", "RFC 4013"},
		"mixed direction":     {"password\u0627x", "RFC 4013"},
	} {
		creds, err := NewCredentials(testPepper(), nil, tc.password)
		if tc.rule == "" {
			if err != nil || len(creds) != 3 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), tc.rule) || creds != nil {
			t.Errorf("%s: %v, want the rule %q", name, err, tc.rule)
		}
		if tc.password != "" && strings.Contains(err.Error(), tc.password) || strings.ContainsAny(err.Error(), "\n😀") || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: the error quotes the password", name)
		}
	}
}

// Whatever is accepted is the same for clients that prepare it and that do not.
func TestAcceptedPasswordsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringN(0, 20, 300).Draw(t, "password")
		if checkPassword(password) != nil {
			return
		}
		if prepared, err := stringprep.SASLprep.Prepare(password); err != nil || prepared != password {
			t.Fatalf("%q is prepared as %q, %v", password, prepared, err)
		}
	})
}
