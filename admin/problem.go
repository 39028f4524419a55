package admin

import (
	"fmt"
	"net/http"

	"weir/admin/api"
)

// code is the immutable id of a failure that a caller may see: clients branch
// on it, so one is never renamed and never given another meaning.
type code string

const (
	codeBadRequest       code = "bad-request"
	codeValidation       code = "validation-failed"
	codeTooLarge         code = "body-too-large"
	codeMediaType        code = "unsupported-media-type"
	codeUnauthenticated  code = "unauthenticated"
	codeNotAllowed       code = "not-allowed"
	codeNoSuchRoute      code = "no-such-route"
	codeMethod           code = "method-not-allowed"
	codeTenantNotFound   code = "tenant-not-found"
	codeInstanceNotFound code = "instance-not-found"
	codeAmbiguous        code = "instance-ambiguous"
	codeUserNotFound     code = "user-not-found"
	codeInstanceIDTaken  code = "instance-id-taken"
	codeNameTaken        code = "instance-name-taken"
	codeUserTaken        code = "user-taken"
	codeDeleting         code = "instance-deleting"
	codeConflict         code = "changed-meanwhile"
	codeFull             code = "users-limit-reached"
	codeAliasNotFound    code = "alias-not-found"
	codeAliasTaken       code = "alias-taken"
	codeAliasOwned       code = "alias-owned"
	codeAliasMissing     code = "alias-target-missing"
	codeAliasAmbiguous   code = "alias-ambiguous"
	codeAliasesFull      code = "aliases-limit-reached"
	codePoolHolds        code = "pool-holds-names"
	codePool             code = "pool-unavailable"
	codeNoIdentity       code = "pool-identity-off"
	codeACLsFull         code = "acls-limit-reached"
	codeHostNotFound     code = "host-not-found"
	codeHostTaken        code = "host-taken"
	codeHostNotAllowed   code = "host-not-allowed"
	codeHostsFull        code = "hosts-limit-reached"
	codeNoSealer         code = "secrets-not-configured"
	codeNetworkNotFound  code = "network-not-found"
	codeNetworksFull     code = "networks-limit-reached"
	codeMatchMissing     code = "if-match-missing"
	codeMatchFailed      code = "if-match-failed"
	codeClientCANotFound code = "client-ca-not-found"
	codeClientCAsFull    code = "client-cas-limit-reached"
	codeIssuerNotFound   code = "issuer-not-found"
	codeIssuerNotAllowed code = "issuer-not-allowed"
	codeIssuerTaken      code = "issuer-taken"
	codeIssuersFull      code = "issuers-limit-reached"
	codeKeyNotFound      code = "key-not-found"
	codeKeysFull         code = "keys-limit-reached"
	codeKeysNotAllowed   code = "keys-not-allowed"
	codeQuotasFull       code = "quotas-limit-reached"
	codePlanNotFound     code = "plan-not-found"
	codeExportNotFound   code = "export-not-found"
	codeExportsBusy      code = "exports-limit-reached"
	codeRange            code = "range-not-satisfiable"
	codeNotMetered       code = "usage-not-metered"
	codeNoBreakdown      code = "usage-not-broken-down"
	codeStatementOpen    code = "statement-open"
	codeBudgetNotFound   code = "budget-not-found"
	codeNotPrepaid       code = "budget-not-prepaid"
	codeTopUpTaken       code = "top-up-taken"
	codeTopUpsFull       code = "top-ups-limit-reached"
	codeNoStatement      code = "statement-not-found"
	codeRateLimited      code = "rate-limited"
	codeTimeout          code = "request-timeout"
	codeStore            code = "store-unavailable"
	codeInternal         code = "internal"
)

// problemKind is what all occurrences of a code have in common.
type problemKind struct {
	status    int
	title     string
	retryable bool
	try       string
}

// kinds is the one table of codes; a test reads those from the source.
var kinds = map[code]problemKind{ //nolint:gochecknoglobals // read-only table
	codeBadRequest:       {status: http.StatusBadRequest, title: "Bad request"},
	codeValidation:       {status: http.StatusUnprocessableEntity, title: "Validation failed"},
	codeTooLarge:         {status: http.StatusRequestEntityTooLarge, title: "Body too large"},
	codeMediaType:        {status: http.StatusUnsupportedMediaType, title: "Unsupported media type", try: "send the header Content-Type: application/json"},
	codeUnauthenticated:  {status: http.StatusUnauthorized, title: "Unauthenticated", try: "weir --token-file FILE ..."},
	codeNotAllowed:       {status: http.StatusForbidden, title: "Not allowed"},
	codeNoSuchRoute:      {status: http.StatusNotFound, title: "No such route"},
	codeMethod:           {status: http.StatusMethodNotAllowed, title: "Method not allowed"},
	codeTenantNotFound:   {status: http.StatusNotFound, title: "Tenant not found"},
	codeInstanceNotFound: {status: http.StatusNotFound, title: "Instance not found", try: "weir instance list"},
	codeAmbiguous:        {status: http.StatusConflict, title: "Instance name is ambiguous", try: "weir instance list"},
	codeUserNotFound:     {status: http.StatusNotFound, title: "User not found", try: "weir user list INSTANCE"},
	codeInstanceIDTaken:  {status: http.StatusConflict, title: "Instance id taken"},
	codeNameTaken:        {status: http.StatusConflict, title: "Instance name taken"},
	codeUserTaken:        {status: http.StatusConflict, title: "User taken"},
	codeDeleting:         {status: http.StatusConflict, title: "Instance is being deleted"},
	codeConflict:         {status: http.StatusConflict, title: "Changed meanwhile", retryable: true},
	codeFull:             {status: http.StatusConflict, title: "Limit of users reached", try: "weir user delete INSTANCE NAME"},
	codeAliasNotFound:    {status: http.StatusNotFound, title: "Alias not found", try: "weir alias list INSTANCE"},
	codeAliasTaken:       {status: http.StatusConflict, title: "Alias taken"},
	codeAliasOwned:       {status: http.StatusConflict, title: "Name belongs to an instance already"},
	codeAliasMissing:     {status: http.StatusConflict, title: "Topic is not in the pool"},
	codeAliasAmbiguous:   {status: http.StatusConflict, title: "Alias is ambiguous"},
	codeAliasesFull:      {status: http.StatusConflict, title: "Limit of aliases reached", try: "weir alias remove INSTANCE KIND NAME"},
	codePoolHolds:        {status: http.StatusConflict, title: "Id is in use in the pool"},
	codePool:             {status: http.StatusServiceUnavailable, title: "Pool unavailable", retryable: true},
	codeNoIdentity:       {status: http.StatusConflict, title: "Pool has no principals for instances"},
	codeACLsFull:         {status: http.StatusConflict, title: "Limit of ACLs reached", try: "weir acl remove INSTANCE ..."},
	codeHostNotFound:     {status: http.StatusNotFound, title: "Host name not found", try: "weir host list INSTANCE"},
	codeHostTaken:        {status: http.StatusConflict, title: "Host name taken"},
	codeHostNotAllowed:   {status: http.StatusConflict, title: "Host name not allowed"},
	codeHostsFull:        {status: http.StatusConflict, title: "Limit of host names reached", try: "weir host delete INSTANCE NAME"},
	codeNoSealer:         {status: http.StatusConflict, title: "Secrets not configured", try: "give weir.yaml secrets.key_files on every gateway (openssl rand -hex 32)"},
	codeNetworkNotFound:  {status: http.StatusNotFound, title: "Network not found", try: "weir network list INSTANCE"},
	codeNetworksFull:     {status: http.StatusConflict, title: "Limit of networks reached", try: "weir network remove INSTANCE RANGE"},
	codeMatchMissing:     {status: http.StatusPreconditionRequired, title: "If-Match is missing"},
	codeMatchFailed:      {status: http.StatusPreconditionFailed, title: "Changed since it was read"},
	codeClientCANotFound: {status: http.StatusNotFound, title: "Client CA not found", try: "weir client-ca list INSTANCE"},
	codeClientCAsFull:    {status: http.StatusConflict, title: "Limit of client CAs reached", try: "weir client-ca delete INSTANCE NAME"},
	codeIssuerNotFound:   {status: http.StatusNotFound, title: "Issuer not found", try: "weir issuer list INSTANCE"},
	codeIssuerNotAllowed: {status: http.StatusUnprocessableEntity, title: "Issuer not allowed", try: "ask the operator to add it to auth.issuers in weir.yaml"},
	codeIssuerTaken:      {status: http.StatusConflict, title: "Issuer is there already", try: "weir issuer list INSTANCE"},
	codeIssuersFull:      {status: http.StatusConflict, title: "Limit of issuers reached", try: "weir issuer delete INSTANCE NAME"},
	codeKeyNotFound:      {status: http.StatusNotFound, title: "API key not found", try: "weir key list INSTANCE"},
	codeKeysFull:         {status: http.StatusConflict, title: "Limit of API keys reached", try: "weir key delete INSTANCE KEY"},
	codeKeysNotAllowed:   {status: http.StatusConflict, title: "API keys not allowed", try: "weir authentication set INSTANCE --any-mechanism"},
	codeQuotasFull:       {status: http.StatusConflict, title: "Limit of sub-quotas reached", try: "weir quota get INSTANCE"},
	codePlanNotFound:     {status: http.StatusNotFound, title: "Plan not found", try: "weir plan list"},
	codeExportNotFound:   {status: http.StatusNotFound, title: "Export not found", try: "weir usage export --help"},
	codeExportsBusy:      {status: http.StatusTooManyRequests, title: "Limit of running exports reached", retryable: true},
	codeRange:            {status: http.StatusRequestedRangeNotSatisfiable, title: "Range not satisfiable"},
	codeNotMetered:       {status: http.StatusConflict, title: "Usage is not metered"},
	codeNoBreakdown:      {status: http.StatusConflict, title: "Usage is not broken down", try: "weir usage get --group-by instance"},
	codeStatementOpen:    {status: http.StatusConflict, title: "Month cannot be final yet", retryable: true},
	codeBudgetNotFound:   {status: http.StatusNotFound, title: "Budget not found", try: "weir budget set ..."},
	codeNotPrepaid:       {status: http.StatusConflict, title: "Budget is not prepaid"},
	codeTopUpTaken:       {status: http.StatusConflict, title: "Id of a top-up taken"},
	codeTopUpsFull:       {status: http.StatusConflict, title: "Limit of top-ups reached"},
	codeNoStatement:      {status: http.StatusNotFound, title: "Statement not found", try: "weir statement list"},
	codeRateLimited:      {status: http.StatusTooManyRequests, title: "Rate limited", retryable: true},
	codeTimeout:          {status: http.StatusRequestTimeout, title: "Request timed out", retryable: true},
	codeStore:            {status: http.StatusServiceUnavailable, title: "Store unavailable", retryable: true},
	codeInternal:         {status: http.StatusInternalServerError, title: "Internal error", retryable: true},
}

// problem makes one occurrence of a code. The request id is filled in when it
// is written.
func problem(c code, format string, args ...any) *api.Problem {
	k := kinds[c]
	return &api.Problem{
		Type:      api.ProblemBase + string(c),
		Title:     k.title,
		Status:    k.status,
		Code:      string(c),
		Detail:    fmt.Sprintf(format, args...),
		Retryable: k.retryable,
		Try:       k.try,
	}
}

// invalid is a problem with the mistakes found in a request. Where it would have changed
// something, asProblem adds that it did not.
func invalid(mistakes ...api.FieldError) *api.Problem {
	detail := "The request has a mistake."
	if len(mistakes) > 1 {
		detail = fmt.Sprintf("The request has %d mistakes.", len(mistakes))
	}
	p := problem(codeValidation, "%s", detail)
	p.Errors = mistakes
	return p
}

// codeOfStatus names what the HTTP library refused by itself.
func codeOfStatus(status int) code {
	switch status {
	case http.StatusBadRequest, http.StatusNotAcceptable:
		return codeBadRequest
	case http.StatusUnprocessableEntity:
		return codeValidation
	case http.StatusRequestEntityTooLarge:
		return codeTooLarge
	case http.StatusUnsupportedMediaType:
		return codeMediaType
	case http.StatusRequestTimeout:
		return codeTimeout
	}
	return codeInternal
}
