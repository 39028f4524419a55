package auth

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xdg-go/scram"
)

// nonceBytes of randomness are in the server's part of a nonce, as in Kafka
// (ScramFormatter) and more than RFC 5802 asks for.
const nonceBytes = 24

// errRefused ends the library's conversation when we refuse in its callback.
var errRefused = errors.New("refused")

// scramFirst answers client-first-message (RFC 5802 section 7) with salt,
// iterations and nonce. The library parses; what it may accept is decided here.
// Its errors quote the client's message, so they are dropped. Each of the claim's
// two credentials has a conversation of its own, with one nonce: what they answer
// to the first message is the same.
func (c *Conversation) scramFirst(token []byte) outcome {
	first := string(token)
	if why := checkFirst(first); why != "" {
		return refuse(c.admit(why))
	}
	nonce := make([]byte, nonceBytes)
	if _, err := io.ReadFull(c.auth.rand, nonce); err != nil {
		return refuse(ReasonNonceUnobtainable)
	}
	why := ReasonMalformed // unless the library comes to ask for the credential
	newest, err := c.scramServer(nonce, 0, func(name string) error {
		if refused := c.scramName(name); refused != "" {
			why = refused
			return errRefused
		}
		return nil
	})
	if err != nil {
		return refuse(why)
	}
	reply, err := newest.Step(first)
	if err != nil {
		return refuse(c.admit(why))
	}
	if id := newest.AuthzID(); id != "" && id != newest.Username() {
		return refuse(ReasonAuthzID)
	}
	older, err := c.scramServer(nonce, 1, func(string) error { return nil })
	if err != nil {
		return refuse(why)
	}
	if again, err := older.Step(first); err != nil || again != reply {
		return refuse(c.admit(why))
	}
	servers := [2]*scram.ServerConversation{newest, older}
	return outcome{reply: []byte(reply), next: func(token []byte) outcome { return c.scramFinal(servers, token) }}
}

// scramFinal checks client-final-message, the nonce in it included
// (CVE-2024-56128), against both credentials, and answers with the server's own
// proof. The limit is asked again, since many conversations may have come this far
// at the same time.
func (c *Conversation) scramFinal(servers [2]*scram.ServerConversation, token []byte) outcome {
	if why := c.admit(""); why != "" {
		return refuse(why)
	}
	final := string(token)
	if !clean(final) {
		return refuse(ReasonMalformed)
	}
	out := refuse(ReasonPasswordWrong)
	for which, server := range servers {
		if reply, err := server.Step(final); err == nil && server.Valid() {
			out = c.byPassword(which, []byte(reply))
		}
	}
	return out
}

// scramServer returns the library's side of one conversation, which calls
// identify once with the client's name, then checks against c.claim.creds[which].
func (c *Conversation) scramServer(nonce []byte, which int, identify func(name string) error) (*scram.ServerConversation, error) {
	hash := scram.SHA256
	if c.mechanism == ScramSHA512 {
		hash = scram.SHA512
	}
	server, err := hash.NewServer(func(name string) (scram.StoredCredentials, error) {
		if err := identify(name); err != nil {
			return scram.StoredCredentials{}, err
		}
		cred := &c.claim.creds[which]
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(cred.Salt), Iters: cred.Iterations},
			StoredKey:  cred.StoredKey,
			ServerKey:  cred.ServerKey,
		}, nil
	})
	if err != nil {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodeToString(nonce)
	return server.WithNonceGenerator(func() string { return encoded }).NewConversation(), nil
}

// scramName identifies the client by the name in its first message.
func (c *Conversation) scramName(name string) Reason {
	if name == "" || len(name) > maxName {
		return ReasonMalformed
	}
	return c.identify(c.mechanism, name)
}

// checkFirst refuses what the library would let pass, or would not tell apart.
func checkFirst(first string) Reason {
	if strings.HasPrefix(first, "p=") {
		return ReasonChannelBinding
	}
	fields := strings.SplitN(first, ",", 5) // binding, authzid, name, nonce, extensions
	if !clean(first) || len(fields) < 4 || fields[3] == "r=" {
		return ReasonMalformed
	}
	return ""
}

// clean reports whether a message is UTF-8 without control characters, as RFC
// 5802 section 7 has it. Base64 in Go skips line breaks.
func clean(message string) bool {
	return utf8.ValidString(message) && strings.IndexFunc(message, unicode.IsControl) < 0
}
