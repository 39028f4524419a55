package auth

import (
	"strings"
	"testing"
)

func TestPlainTokens(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", 256)
	for name, tc := range map[string]struct {
		token string
		why   Reason
	}{
		"plain":                     {"\x00alice\x00" + alicePassword, ""},
		"authzid is the name":       {"alice\x00alice\x00" + alicePassword, ""},
		"authzid as sent":           {"alice@one\x00alice@one\x00" + alicePassword, ""},
		"authzid another spelling":  {"alice\x00alice@one\x00" + alicePassword, ReasonAuthzID},
		"authzid somebody else":     {"bob\x00alice\x00" + alicePassword, ReasonAuthzID},
		"authzid, unknown account":  {"bob\x00mallory\x00" + alicePassword, ReasonAuthzID},
		"empty":                     {"", ReasonMalformed},
		"no NUL":                    {"alice", ReasonMalformed},
		"one NUL":                   {"alice\x00" + alicePassword, ReasonMalformed},
		"three NULs":                {"\x00alice\x00" + alicePassword + "\x00", ReasonMalformed},
		"only NULs":                 {"\x00\x00", ReasonMalformed},
		"no name":                   {"\x00\x00" + alicePassword, ReasonMalformed},
		"no password":               {"\x00alice\x00", ReasonMalformed},
		"name too long":             {"\x00" + long + "\x00" + alicePassword, ReasonMalformed},
		"authzid too long":          {long + "\x00alice\x00" + alicePassword, ReasonMalformed},
		"password too long":         {"\x00alice\x00" + long + "x", ReasonMalformed},
		"longest password":          {"\x00alice\x00" + long, ReasonPasswordWrong},
		"token too long":            {strings.Repeat("\x00", maxToken+1), ReasonMalformed},
		"not UTF-8":                 {"\x00alice\x00password\xff", ReasonMalformed},
		"password with more behind": {"\x00alice\x00" + alicePassword + " ", ReasonPasswordWrong},
		"prefix of password":        {"\x00alice\x00" + alicePassword[:8], ReasonPasswordWrong},
		"cannot be prepared":        {"\x00alice\x00\u0627x password", ReasonPasswordWrong},
		// RFC 4616 section 4: the server prepares what a client left as typed.
		"no-break space for a space": {"\x00alice\x00" + strings.ReplaceAll(alicePassword, " ", "\u00a0"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: testPepper()})}
			c, _ := f.Start(Plain, at("192.0.2.1", "one"))
			reply, done, err := c.Step([]byte(tc.token))
			if why := reason(t, err); why != tc.why || done != (tc.why == "") || len(reply) != 0 {
				t.Errorf("got %q, %v, %v, want %q", reply, done, err, tc.why)
			}
		})
	}
}
