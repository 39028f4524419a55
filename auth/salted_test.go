package auth

import (
	"bytes"
	"crypto/pbkdf2"
	"errors"
	"strings"
	"testing"

	"weir/tenancy"
)

// saltedCredential is what becomes of a password that a client salts.
func saltedCredential(t *testing.T, mechanism, password, salt string, iter int) tenancy.Credential {
	t.Helper()
	h := newHash(mechanism)
	salted, err := pbkdf2.Key(h, password, []byte(salt), iter, h().Size())
	if err != nil {
		t.Fatal(err)
	}
	c, err := CredentialFromSalted(mechanism, []byte(salt), salted, iter)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCredentialFromSalted(t *testing.T) {
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		c := saltedCredential(t, mechanism, "pencil", "salt", 4096)
		stored, server, err := deriveKeys(mechanism, "pencil", []byte("salt"), 4096)
		if err != nil || !bytes.Equal(c.StoredKey, stored) || !bytes.Equal(c.ServerKey, server) ||
			c.Mechanism != mechanism || string(c.Salt) != "salt" || c.Iterations != 4096 {
			t.Errorf("%s: keys differ from those of the password, %v", mechanism, err)
		}
	}
	salt := []byte("salt")
	c, err := CredentialFromSalted(ScramSHA256, salt, make([]byte, 32), 4096)
	salt[0] = 'X'
	if err != nil || string(c.Salt) != "salt" {
		t.Errorf("the salt is the caller's buffer: %q, %v", c.Salt, err)
	}
}

func TestCredentialFromSaltedRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		mechanism    string
		salt, salted int // bytes
		iter         int
		rule         string // "" if accepted
	}{
		"least":               {ScramSHA256, 1, 32, 4096, ""},
		"most":                {ScramSHA512, 256, 64, 16384, ""},
		"too few iterations":  {ScramSHA256, 16, 32, 4095, "4096 to 16384"},
		"too many iterations": {ScramSHA256, 16, 32, 16385, "4096 to 16384"},
		"negative":            {ScramSHA256, 16, 32, -1, "4096 to 16384"},
		"no salt":             {ScramSHA256, 0, 32, 4096, "1 to 256 bytes"},
		"salt too long":       {ScramSHA256, 257, 32, 4096, "1 to 256 bytes"},
		"no password":         {ScramSHA256, 16, 0, 4096, "must have 32 bytes"},
		"other hash":          {ScramSHA256, 16, 64, 4096, "must have 32 bytes"},
		"other hash, longer":  {ScramSHA512, 16, 32, 4096, "must have 64 bytes"},
		"plain":               {Plain, 16, 32, 4096, "no mechanism"},
		"unknown":             {"", 16, 32, 4096, "no mechanism"},
	} {
		c, err := CredentialFromSalted(tc.mechanism, make([]byte, tc.salt), bytes.Repeat([]byte("k"), tc.salted), tc.iter)
		if tc.rule == "" {
			if err != nil || c.Mechanism != tc.mechanism {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, ErrCredential) || !strings.Contains(err.Error(), tc.rule) || strings.Contains(err.Error(), "kkk") || c.Mechanism != "" {
			t.Errorf("%s: %v, want the rule %q", name, err, tc.rule)
		}
	}
}
