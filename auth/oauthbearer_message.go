package auth

import "strings"

// maxBearer bounds a token of OAUTHBEARER, message around it included, in bytes:
// that of Entra has 2 to 4 KiB, more with many groups.
const maxBearer = 16 << 10

// bearer is a client's first message of OAUTHBEARER. Its parts alias the message.
type bearer struct {
	authzid  string
	token    string
	instance string // the SASL extension of that name (KIP-342), "" if not sent
}

// parseBearer reads n,a=authzid,\x01auth=Bearer TOKEN\x01key=value\x01\x01 as
// Kafka's OAuthBearerClientInitialResponse does (RFC 7628 section 3.1), but for a
// key that is there twice, which is refused. Extensions that we do not know are
// nobody's business.
func parseBearer(message []byte) (b bearer, ok bool) {
	rest, ok := strings.CutPrefix(string(message), "n,")
	if !ok {
		return b, false
	}
	authzid, rest, ok := strings.Cut(rest, ",")
	if !ok {
		return b, false
	}
	if authzid != "" {
		name, named := strings.CutPrefix(authzid, "a=")
		if b.authzid, ok = saslName(name); !ok || !named || name == "" {
			return b, false
		}
	}
	pairs, ok := strings.CutPrefix(rest, "\x01")
	if !ok {
		return b, false
	}
	if pairs, ok = strings.CutSuffix(pairs, "\x01"); !ok {
		return b, false
	}
	seen := make(map[string]bool)
	for pairs != "" {
		var pair string
		if pair, pairs, ok = strings.Cut(pairs, "\x01"); !ok { // each ends with one
			return b, false
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || !letters(key) || !printable(value) || seen[key] {
			return b, false
		}
		seen[key] = true
		switch key {
		case "auth":
			if b.token, ok = bearerToken(value); !ok {
				return b, false
			}
		case "instance":
			b.instance = value
		}
	}
	return b, b.token != ""
}

// saslName decodes RFC 5801's saslname: "," is =2C and "=" is =3D.
func saslName(raw string) (string, bool) {
	if strings.IndexFunc(raw, func(r rune) bool { return r == 0 || r > 0x7f }) >= 0 {
		return "", false
	}
	if bare := strings.NewReplacer("=2C", "", "=3D", "").Replace(raw); strings.Contains(bare, "=") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(raw), true
}

// bearerToken is what is behind the scheme (RFC 6750 section 2.1).
func bearerToken(value string) (string, bool) {
	scheme, token, ok := strings.Cut(value, " ")
	token = strings.TrimLeft(token, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", false
	}
	for _, c := range []byte(token) {
		if !alnum(c) && !strings.ContainsRune("-_.~+/=", rune(c)) {
			return "", false
		}
	}
	return token, true
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func letters(key string) bool {
	for _, c := range []byte(key) {
		if !alnum(c) || c <= '9' {
			return false
		}
	}
	return key != ""
}

// printable is Kafka's SaslExtensions: printable ASCII and white space.
func printable(value string) bool {
	for _, c := range []byte(value) {
		if (c < 0x20 || c > 0x7e) && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return value != ""
}
