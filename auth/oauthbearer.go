package auth

import "weir/tenancy"

// OAuthBearer is SASL OAUTHBEARER (RFC 7628, KIP-255).
const OAuthBearer = "OAUTHBEARER"

// tokenProof is by what a token was believed. Immutable.
type tokenProof struct{}

// check says why the token does not count any more.
func (t *tokenProof) check(*tenancy.View, Principal) Reason { return "" }
