package proxy

import (
	"strings"

	"weir/auth"
	"weir/proxy/rewrite"
)

// Explanation is what people are told of one reason. INSTANCE, TENANT, ADDRESS and USER in
// it stand for those of a connection (see For).
type Explanation struct {
	Text string // what happened, without a full stop
	Fix  string // what to do about it, without a full stop
	Try  string // a command that does it or shows more; "" if there is none
}

// Explain says what a reason means, of this package, auth or rewrite. ok is false
// for an id that this version does not know.
func Explain(reason string) (e Explanation, ok bool) {
	e, ok = explanations[reason]
	return e, ok
}

// For fills in what is known. What is "" stays a word in capitals; a command that
// needs it is left out.
func (e Explanation) For(instance, tenant, address, user string) Explanation {
	for _, known := range [][2]string{{"INSTANCE", instance}, {"TENANT", tenant}, {"ADDRESS", address}, {"USER", user}} {
		word, value := known[0], known[1]
		if value == "" {
			if strings.Contains(e.Try, word) {
				e.Try = ""
			}
			continue
		}
		e.Text = strings.ReplaceAll(e.Text, word, value)
		e.Fix = strings.ReplaceAll(e.Fix, word, value)
		e.Try = strings.ReplaceAll(e.Try, word, value)
	}
	return e
}

// What several reasons have in common.
const (
	fixRetry  = "try again; the gateway had a problem, or what is behind it, of which its operator knows"
	fixClient = "use a client library that is known to work (docs/compatibility.md), in its newest version"
	fixNone   = "nothing to do: the client connects again by itself"
	fixMode   = "check that the client speaks Kafka to this port, and its max.request.size"

	tryUsers    = "weir user list INSTANCE"
	tryInstance = "weir instance get INSTANCE"
	tryQuota    = "weir quota get INSTANCE"
	tryCAs      = "weir client-ca list INSTANCE"
)

// explanations has every reason id of packages proxy, rewrite and auth; a test
// reads those from the sources.
var explanations = map[string]Explanation{ //nolint:gochecknoglobals // read-only table
	reasonClientGone:     {Text: "the client left in the middle of the TLS handshake or of the login", Fix: "look into the client's log: it gave up, often after a time-out of its own"},
	reasonDrained:        {Text: "the gateway is being stopped", Fix: fixNone},
	reasonStopped:        {Text: "the gateway was stopped", Fix: fixNone},
	reasonInternal:       {Text: "something went wrong in the gateway", Fix: fixRetry},
	reasonFull:           {Text: "too many connections had not logged in yet", Fix: "let fewer clients connect at the same moment, or raise limits.max_handshakes"},
	reasonHandshakeSlow:  {Text: "the client had not logged in when limits.handshake_timeout was over", Fix: "check the network, and whether the client speaks at all: it connected and then was silent or slow"},
	reasonHeaderSpoofed:  {Text: "a PROXY header came from ADDRESS, which is no load balancer", Fix: "if it is one of yours, add it to proxy_protocol.from of the listener"},
	reasonHeaderNotHere:  {Text: "a PROXY header came to a listener that reads none", Fix: "add proxy_protocol to the listener, or switch the header off at the load balancer"},
	reasonHeaderMissing:  {Text: "a connection came without the PROXY header that the listener requires", Fix: "connect through the load balancer, and switch the PROXY protocol on there"},
	reasonHeaderBad:      {Text: "the load balancer's PROXY header cannot be read", Fix: "let it send the PROXY protocol, version 1 or 2, for TCP (docs/load-balancers.md)"},
	reasonHealthCheck:    {Text: "the load balancer looked whether the gateway is there", Fix: "nothing to do"},
	reasonPlaintextOnTLS: {Text: "the client does not speak TLS and this port does", Fix: "set security.protocol=SASL_SSL and trust the gateway's CA"},
	reasonTLSOnPlaintext: {Text: "the client speaks TLS and this port does not", Fix: "set security.protocol=SASL_PLAINTEXT, or use the port that has TLS"},
	reasonHTTP:           {Text: "the client speaks HTTP and this port speaks Kafka", Fix: "use the management address for REST"},
	reasonTLS:            {Text: "the TLS handshake failed", Fix: "use TLS 1.2 or newer, and see the client's log for what it did not like"},
	reasonCertificate:    {Text: "the client does not trust the gateway's certificate", Fix: "give the client the gateway's CA, and connect by a host name that is in the certificate"},
	reasonFrameSize:      {Text: "what arrived is no Kafka request, or too large a one", Fix: fixMode},
	reasonMalformed:      {Text: "a request cannot be read", Fix: fixClient},
	reasonUnsupported:    {Text: "a request is of a kind or version that is not offered", Fix: fixClient},
	reasonSASLFirst:      {Text: "the client sent requests without logging in", Fix: "set security.protocol to SASL_SSL (not SSL), sasl.mechanism and a user"},
	reasonMechanism:      {Text: "the client wants a SASL mechanism that is not offered", Fix: "set sasl.mechanism to one that the instance has", Try: tryInstance},
	reasonAuth:           {Text: "the login failed", Fix: "check user name and password", Try: tryUsers},
	reasonReauth:         {Text: "the client did something else while it logged in again", Fix: fixClient},
	reasonExpired:        {Text: "the session had ended", Fix: "let the client log in again in time (KIP-368), with what is still valid"},
	reasonRevoked:        {Text: "the user, its proof or the instance lost the right to be connected", Fix: "check that the user is there and enabled and that its password, key or token still counts", Try: tryUsers},
	reasonHost:           {Text: "the host name that the client had connected to was taken from INSTANCE", Fix: "connect to one that the instance has", Try: "weir host list INSTANCE"},
	reasonNames:          {Text: "an alias that the connection knew was taken away", Fix: fixNone, Try: "weir alias list INSTANCE"},
	reasonNetwork:        {Text: "INSTANCE does not allow ADDRESS", Fix: "allow the address, or connect from one of the instance's networks", Try: "weir network allow INSTANCE ADDRESS"},
	reasonAttempts:       {Text: "INSTANCE has more new connections a second than its limit connection_attempts_per_second", Fix: "let its clients keep their connections rather than open new ones, or raise the limit", Try: tryQuota},
	reasonConnections:    {Text: "INSTANCE has as many connections as its limit allows", Fix: "close some that are not needed, or raise the limit connections", Try: tryQuota},
	reasonHeld:           {Text: "a limit of INSTANCE held a request for longer than clients wait", Fix: "use fewer connections or smaller requests, or raise the limit", Try: "weir throttle list INSTANCE"},
	reasonWrongPool:      {Text: "the port is a broker of another pool than the instance's", Fix: "connect to the bootstrap address", Try: tryInstance},
	reasonNoPool:         {Text: "the instance's pool is not configured on this gateway", Fix: "add it to pools in weir.yaml of every gateway"},
	reasonIdentity:       {Text: "the pool does not let INSTANCE in: its own principal is missing there", Fix: fixRetry},
	reasonUnreachable:    {Text: "the broker behind the gateway does not answer", Fix: fixRetry},
	reasonUpstreamLost:   {Text: "the connection to the broker was lost", Fix: fixNone},
	reasonUpstreamAnswer: {Text: "the broker answered what was not asked", Fix: fixRetry},
	reasonSlowFrame:      {Text: "a request stopped arriving half way", Fix: "check the network between client and gateway"},
	reasonSlowReader:     {Text: "the client did not read its answers", Fix: "check whether the client hangs, and the network between client and gateway"},
	reasonOverloaded:     {Text: "the gateway was short of memory, and the client was one too many or held the most of it", Fix: "let the client connect again and ask for less at once (fetch.max.bytes); or raise limits.memory, or add gateways"},
	reasonTripwire:       {Text: "an answer would have shown something of the pool", Fix: fixRetry},
	reasonOther:          {Text: "more refused connections than are kept one by one", Fix: "see weir_refusals_total for their reasons"},

	rewrite.ReasonBadUpstream:  {Text: "an answer of the broker cannot be read", Fix: fixRetry},
	rewrite.ReasonUnanswerable: {Text: "a request that wants no answer (acks=0) was refused", Fix: "set acks=1 or all: the client is then told why", Try: "weir acl list INSTANCE"},
	rewrite.ReasonNoUpstream:   {Text: "no broker behind the gateway answers", Fix: fixRetry},

	string(auth.ReasonMalformed):         {Text: "a login message cannot be read", Fix: fixClient},
	string(auth.ReasonChannelBinding):    {Text: "the client insists on SCRAM with channel binding", Fix: "turn channel binding off: Kafka has none"},
	string(auth.ReasonAuthzID):           {Text: "the client wants to act as somebody else than it logs in as", Fix: "leave the authorization id empty"},
	string(auth.ReasonInstanceMissing):   {Text: "neither the host name nor the user name says which instance is meant", Fix: "use USER@INSTANCE as user name, or the host name of the instance"},
	string(auth.ReasonInstanceMismatch):  {Text: "the user name says another instance than the host name", Fix: "connect to the host name of the user's own instance", Try: tryInstance},
	string(auth.ReasonInstanceUnknown):   {Text: "there is no such instance, or it was deleted", Fix: "check the host name, or what is behind the @ of the user name", Try: "weir instance list"},
	string(auth.ReasonInstanceSuspended): {Text: "INSTANCE is suspended", Fix: "have it resumed by whoever suspended it", Try: tryInstance},
	string(auth.ReasonBudgetSpent):       {Text: "the budget of tenant TENANT is spent", Fix: "raise the budget, add to its balance, or wait for the next month", Try: "weir budget get --tenant TENANT"},
	string(auth.ReasonInstanceDeleting):  {Text: "INSTANCE is being deleted", Fix: "use another instance", Try: "weir instance list"},
	string(auth.ReasonUserUnknown):       {Text: "INSTANCE has no such user", Fix: "check the user name; where the host name does not say the instance it is USER@INSTANCE", Try: tryUsers},
	string(auth.ReasonUserDisabled):      {Text: "the user USER is disabled", Fix: "enable it, or use another user", Try: tryUsers},
	string(auth.ReasonMechanismUnset):    {Text: "the user USER has no password for this mechanism", Fix: "use SCRAM-SHA-512, or give the user a new password", Try: tryUsers},
	string(auth.ReasonPasswordWrong):     {Text: "the password of USER is wrong", Fix: "use the password of the user's newest client files", Try: tryUsers},
	string(auth.ReasonHandshakes):        {Text: "too many connections from ADDRESS had never logged in; this one was not looked at", Fix: "find the client there that connects and does not log in, such as a health check or one that does not trust the gateway's CA"},
	string(auth.ReasonRateLimited):       {Text: "too many logins from ADDRESS had failed before; this one was not looked at", Fix: "stop the client with the wrong password, and wait a minute"},
	string(auth.ReasonBusy):              {Text: "the gateway had no time to check the password", Fix: "try again; if it happens often, use SCRAM in place of PLAIN, or add gateways"},
	string(auth.ReasonExpired):           {Text: "the user, or its password, key, token or certificate, has expired", Fix: "use a new one", Try: tryUsers},
	string(auth.ReasonRevoked):           {Text: "the right to log in ended during the login", Fix: "check that the user is there and enabled and the instance active", Try: tryUsers},
	string(auth.ReasonMechanism):         {Text: "INSTANCE does not let its clients use this mechanism", Fix: "set sasl.mechanism to one that the instance has", Try: tryInstance},
	string(auth.ReasonSASLRequired):      {Text: "a certificate alone is not enough for INSTANCE", Fix: "set security.protocol=SASL_SSL, a mechanism and a user beside the certificate"},
	string(auth.ReasonConversationEnded): {Text: "the client went on with a login that was over", Fix: fixClient},
	string(auth.ReasonNonceUnobtainable): {Text: "the gateway found no randomness", Fix: fixRetry},

	string(auth.ReasonCertificateMissing):   {Text: "INSTANCE wants a client certificate and the client has shown none", Fix: "give the client its certificate and key (ssl.keystore.certificate.chain, ssl.keystore.key)", Try: tryCAs},
	string(auth.ReasonCertificateTooLarge):  {Text: "the client's certificate chain is too large", Fix: "send the certificate and its intermediates only"},
	string(auth.ReasonCertificateUntrusted): {Text: "the client's certificate is of none of the client CAs of INSTANCE", Fix: "use a certificate of one of them, with its intermediates, or add its CA", Try: tryCAs},
	string(auth.ReasonCertificateExpired):   {Text: "the client's certificate, or one that it hangs on, has expired", Fix: "renew it", Try: tryCAs},
	string(auth.ReasonCertificateEarly):     {Text: "the client's certificate is not valid yet", Fix: "check the clocks of who issued it and of the gateway"},
	string(auth.ReasonCertificatePurpose):   {Text: "the client's certificate is not for clients", Fix: "have one issued with the extended key usage clientAuth"},
	string(auth.ReasonCertificateWeak):      {Text: "the client's certificate has too short a key, or is signed with MD5 or SHA-1", Fix: "have one issued with ECDSA P-256, or RSA of 2048 bits, and SHA-256"},
	string(auth.ReasonCertificateRevoked):   {Text: "the client's certificate was revoked", Fix: "use a new one", Try: tryCAs},
	string(auth.ReasonCertificateUnmapped):  {Text: "the client CA's rules make no user of the certificate, or another one than before", Fix: "change the rules, or use a certificate with a name that they match", Try: tryCAs},

	string(auth.ReasonTokenMalformed):  {Text: "the token cannot be read", Fix: "send a signed JWT of at most 16 KiB, as the issuer gave it"},
	string(auth.ReasonIssuerUnknown):   {Text: "the token is of none of the issuers of INSTANCE", Fix: "use a token of one of them, or add the issuer", Try: "weir issuer list INSTANCE"},
	string(auth.ReasonKeyUnknown):      {Text: "the token was signed with a key that the issuer does not have", Fix: "get a new token: the issuer has changed its keys"},
	string(auth.ReasonKeyPending):      {Text: "the token was signed with a key that is not known yet, and the issuer was asked a moment ago", Fix: "let the issuer publish a key a minute before it signs with it; the client tries again by itself", Try: "weir issuer list INSTANCE"},
	string(auth.ReasonKeysUnavailable): {Text: "the issuer's keys could not be had", Fix: "check that the gateway reaches the issuer, and that its keys are right", Try: "weir issuer list INSTANCE"},
	string(auth.ReasonSignature):       {Text: "the token's signature is wrong", Fix: "get a new token, and send it whole"},
	string(auth.ReasonTokenExpired):    {Text: "the token has expired", Fix: "let the client get a new token before the old one ends"},
	string(auth.ReasonTokenEarly):      {Text: "the token is not valid yet", Fix: "check the clocks of the issuer and of the gateway"},
	string(auth.ReasonTokenClaim):      {Text: "the token lacks a claim, audience or scope that INSTANCE asks for", Fix: "have the issuer put it in, or change what the instance asks for", Try: "weir issuer list INSTANCE"},
}
