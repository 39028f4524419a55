package tenancy

import "time"

// Issuer is an OAuth 2.0 authorization server whose tokens (RFC 9068, RFC 7519)
// an instance believes.
type Issuer struct {
	Name string `json:"name"` // [A-Za-z0-9._-]{1,64}
	// URL is the token's iss, exactly. The operator's configuration must allow it.
	URL string `json:"url"`
	// JWKSURL is where its keys are. Optional: found by OpenID Connect discovery.
	JWKSURL string `json:"jwks_url,omitempty"`
	// Audiences of which a token must have one. At least one.
	Audiences []string `json:"audiences"`
	// Scopes that a token must all have.
	Scopes []string `json:"scopes,omitempty"`
	// Claims that a token must have with exactly that value, such as the id of an
	// organisation at an issuer that serves many.
	Claims map[string]string `json:"claims,omitempty"`
	// PrincipalClaim holds the user. sub if empty.
	PrincipalClaim string    `json:"principal_claim,omitempty"`
	CreatedAt      time.Time `json:"created_at"`
}

// ClientCA is a certificate authority whose certificates an instance's clients
// prove themselves by.
type ClientCA struct {
	Name string `json:"name"` // [A-Za-z0-9._-]{1,64}
	// Certificates are trust anchors, PEM.
	Certificates string `json:"certificates"`
	// CRLs are lists of what these and their intermediates have revoked, PEM. Optional.
	CRLs string `json:"crls,omitempty"`
	// Rules make a user of a certificate; the first that matches counts. The
	// subject as RFC 2253 writes it if empty (Kafka's DEFAULT).
	Rules     []CertificateRule `json:"rules,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
}

// CertificateRule makes a user of one name in a certificate (KIP-371, extended
// to subject alternative names).
type CertificateRule struct {
	// From is what is looked at: subject, common-name, dns, uri or email. Each of
	// several names of that kind is tried in order.
	From string `json:"from"`
	// Pattern is a regular expression (RE2) that the whole name must match. All if empty.
	Pattern string `json:"pattern,omitempty"`
	// User is the result, with $1 for what group 1 matched. The name itself if empty.
	User string `json:"user,omitempty"`
	// Case is lower or upper to change the result to. As it is if empty.
	Case string `json:"case,omitempty"`
}

// Host is a host name of an instance's own, beside the one under the gateway's
// domain. Its brokers are b<node>.<name>.
type Host struct {
	Name string `json:"name"` // lower case, without a trailing dot
	// Chain is the certificate for the name and *.name, leaf first, PEM.
	Chain string `json:"chain"`
	// Key is the sealed PEM key of the certificate.
	Key       Sealed    `json:"key"`
	CreatedAt time.Time `json:"created_at"`
}

// Key is an API key: a user's second way in, by a random secret of 256 bits and
// mechanism PLAIN.
type Key struct {
	ID        string    `json:"id"` // "key-" and 16 characters; what the client sends as user name
	User      string    `json:"user"`
	Hash      []byte    `json:"hash"` // HMAC-SHA-256 of the secret under the gateways' pepper
	Comment   string    `json:"comment,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}

// Identity is the broker principal of one instance: its pool's second wall.
type Identity struct {
	User      string    `json:"user"`
	Mechanism string    `json:"mechanism"` // SCRAM-SHA-512
	Password  Sealed    `json:"password"`
	CreatedAt time.Time `json:"created_at"`
}

// String keeps hashes out of whatever prints a view.
func (k Key) String() string { return "key " + k.ID }

// GoString is String for %#v.
func (k Key) GoString() string { return k.String() }
