package auth

import "weir/tenancy"

// Certificate is the mechanism of who proves itself in the TLS handshake alone.
const Certificate = "CERTIFICATE"

// certificateProof is by what a client certificate was believed. Immutable.
type certificateProof struct{}

// check says why the certificate does not count any more.
func (c *certificateProof) check(*tenancy.View, Principal) Reason { return "" }
