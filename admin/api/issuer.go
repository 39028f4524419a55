package api

import "time"

// PutIssuer is the body of PUT /v1/instances/{i}/issuers/{name}.
type PutIssuer struct {
	_ struct{} `additionalProperties:"false"`

	URL            string            `json:"url" maxLength:"512" doc:"The iss of its tokens, exactly. The operator's configuration must allow it."`
	JWKSURL        string            `json:"jwks_url,omitempty" maxLength:"512" doc:"Where its keys are. Found by OpenID Connect discovery if absent."`
	Audiences      []string          `json:"audiences" nullable:"false" minItems:"1" maxItems:"32" doc:"A token's aud must have one of them."`
	Scopes         []string          `json:"scopes,omitempty" maxItems:"32" doc:"A token must have all of them (scope or scp)."`
	Claims         map[string]string `json:"claims,omitempty" doc:"A token must have each claim with exactly that value."`
	PrincipalClaim string            `json:"principal_claim,omitempty" maxLength:"256" doc:"The claim that names the user, or a JSON pointer to it. Default: sub."`
}

// Issuer is an authorization server whose tokens an instance believes.
type Issuer struct {
	Name           string            `json:"name"`
	URL            string            `json:"url"`
	JWKSURL        string            `json:"jwks_url,omitempty"`
	Audiences      []string          `json:"audiences" nullable:"false"`
	Scopes         []string          `json:"scopes" nullable:"false"`
	Claims         map[string]string `json:"claims,omitempty"`
	PrincipalClaim string            `json:"principal_claim"`
	CreatedAt      time.Time         `json:"created_at"`
	Keys           IssuerKeys        `json:"keys"`
}

// IssuerKeys is what the gateway that answers knows of an issuer's keys.
type IssuerKeys struct {
	IDs       []string   `json:"ids" nullable:"false" doc:"Their kid."`
	FetchedAt *time.Time `json:"fetched_at" doc:"null: never."`
	Error     string     `json:"error,omitempty" doc:"Why the newest fetch failed. The last keys count for 24 h."`
}

// ChangedIssuer answers PUT /v1/instances/{i}/issuers/{name}.
type ChangedIssuer struct {
	Issuer
	ReadyOn ReadyOn `json:"ready_on"`
}

// Issuers are all that an instance has.
type Issuers struct {
	Items []Issuer `json:"items" nullable:"false" doc:"In order of name."`
}

// CheckToken is the body of POST /v1/instances/{i}/issuers/check.
type CheckToken struct {
	_ struct{} `additionalProperties:"false"`

	Token string `json:"token" writeOnly:"true" minLength:"1" maxLength:"16384" doc:"As a client would send it. It is not kept and not logged."`
}

// CheckedToken says what a gateway would do with a token.
type CheckedToken struct {
	Accepted  bool       `json:"accepted"`
	Reason    string     `json:"reason,omitempty" doc:"Why not: an immutable id."`
	Claim     string     `json:"claim,omitempty" doc:"Which claim is not as the instance wants it."`
	User      string     `json:"user,omitempty"`
	Issuer    string     `json:"issuer,omitempty" doc:"Name of the issuer."`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}
