package auth

import (
	"errors"

	"weir/tenancy"
)

// ErrFailed is all that a client may learn of a failed authentication. Every
// error of [Conversation.Step] wraps it.
var ErrFailed = errors.New("authentication failed")

// ClientText is the one message that a client is sent for any failure, with
// error code SASL_AUTHENTICATION_FAILED (58). It is what Kafka says after a bad
// PLAIN password (PlainSaslServer); Kafka's text for SCRAM names the mechanism
// and the phase, ours is one and the same, so that it can tell nothing.
const ClientText = "Authentication failed: Invalid username or password"

// Reason says why an authentication failed: an immutable id for logs, metric
// labels and docs. It never reaches a client.
type Reason string

// The reasons; a closed set.
const (
	ReasonMalformed         Reason = "malformed"          // not a message of this mechanism, or over a limit
	ReasonChannelBinding    Reason = "channel-binding"    // SCRAM client insists on channel binding, which is not offered
	ReasonAuthzID           Reason = "authzid-mismatch"   // wants to act as somebody else
	ReasonInstanceMissing   Reason = "instance-missing"   // neither host name nor user name says which instance
	ReasonInstanceMismatch  Reason = "instance-mismatch"  // host name and user name disagree
	ReasonInstanceUnknown   Reason = "instance-unknown"   // no such instance, or deleted
	ReasonInstanceSuspended Reason = "instance-suspended" // kept, but nobody may connect
	ReasonBudgetSpent       Reason = "budget-spent"       // the tenant's budget is, and it says that nobody may connect then
	ReasonInstanceDeleting  Reason = "instance-deleting"  // on its way out
	ReasonUserUnknown       Reason = "user-unknown"       // no such user in the instance
	ReasonUserDisabled      Reason = "user-disabled"      // the user may not log in
	ReasonMechanismUnset    Reason = "mechanism-unset"    // the user has no credential for this mechanism
	ReasonPasswordWrong     Reason = "password-wrong"     // known account, wrong proof or password
	ReasonRateLimited       Reason = "rate-limited"       // too many failures from this address; nothing was checked
	ReasonHandshakes        Reason = "handshakes-limited" // too many connections from this address never logged in
	ReasonBusy              Reason = "busy"               // no slot in time; nothing was checked
	ReasonNetwork           Reason = "network-refused"    // from none of the instance's networks
	ReasonExpired           Reason = "proof-expired"      // the secret, user, token or certificate has ended
	ReasonRevoked           Reason = "revoked"            // lost its right between the first and the last step
	ReasonMechanism         Reason = "mechanism-refused"  // the instance's policy does not have it
	ReasonSASLRequired      Reason = "sasl-required"      // the instance's policy: a certificate alone is not enough
	ReasonTokenMalformed    Reason = "token-malformed"    // no JWT that we read: its form, algorithm, type, or a critical extension
	ReasonIssuerUnknown     Reason = "token-issuer"       // of no issuer of the instance that the operator allows
	ReasonKeyUnknown        Reason = "token-key"          // signed with a key that its issuer does not publish
	ReasonKeyPending        Reason = "token-key-pending"  // signed with a key that is not known, and its issuer was asked a moment ago; nothing was checked
	ReasonKeysUnavailable   Reason = "token-keys-missing" // the issuer's keys cannot be fetched; nothing was checked
	ReasonSignature         Reason = "token-signature"    // not signed by the key that it names
	ReasonTokenExpired      Reason = "token-expired"      // its end has passed
	ReasonTokenEarly        Reason = "token-early"        // from the future: nbf or iat
	ReasonTokenClaim        Reason = "token-claim"        // audience, scope or a claim is not as the instance wants it
	ReasonConversationEnded Reason = "conversation-ended" // Step after success or failure
	ReasonNonceUnobtainable Reason = "nonce-unobtainable" // Config.Rand failed
)

// The reasons for which a client's certificate proves nothing.
const (
	ReasonCertificateMissing   Reason = "certificate-missing"       // the policy needs one and the client has shown none
	ReasonCertificateTooLarge  Reason = "certificate-too-large"     // more than 10 certificates or 64 KiB
	ReasonCertificateUntrusted Reason = "certificate-untrusted"     // no way to one of the instance's client CAs
	ReasonCertificateExpired   Reason = "certificate-expired"       // it, or one between it and the client CA
	ReasonCertificateEarly     Reason = "certificate-not-yet-valid" // by the gateway's clock
	ReasonCertificatePurpose   Reason = "certificate-purpose"       // not for clients: key usage
	ReasonCertificateWeak      Reason = "certificate-weak"          // a key that is too short, or MD5 or SHA-1
	ReasonCertificateRevoked   Reason = "certificate-revoked"       // by one of the client CAs' CRLs
	ReasonCertificateUnmapped  Reason = "certificate-unmapped"      // the client CA's rules make no user of it, or another one now
)

// Failure is the cause of a failed authentication. It carries only what is
// safe to log: names are set only if they exist in the directory, since what a
// client sends as a name may be a password typed into the wrong field.
type Failure struct {
	Reason    Reason
	Mechanism string
	Instance  tenancy.InstanceID // "" if unknown
	User      string             // "" if unknown
}

// Error names the reason, and no secret.
func (f *Failure) Error() string { return ErrFailed.Error() + ": " + string(f.Reason) }

// Unwrap is ErrFailed.
func (f *Failure) Unwrap() error { return ErrFailed }

// Later reports whether the client may come again with the very same message, since
// nothing was checked: the keys of a token's issuer are on their way. It is to be cut
// off without an answer, after which clients try again; after an answer they give up
// (KIP-152). It depends on the token's issuer and key id alone, and not on whether
// there is such an instance.
func (f *Failure) Later() bool {
	return f.Reason == ReasonKeyPending || f.Reason == ReasonKeysUnavailable
}
