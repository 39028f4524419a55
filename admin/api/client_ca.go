package api

import "time"

// CertificateRule makes a user of a name in a client's certificate.
type CertificateRule struct {
	_ struct{} `additionalProperties:"false"`

	From    string `json:"from" enum:"subject,common-name,dns,uri,email" doc:"What is looked at; of several names of that kind the first that matches counts. subject is the whole name as RFC 2253 and Kafka write it."`
	Pattern string `json:"pattern,omitempty" maxLength:"512" example:"spiffe://acme\\.example/(.*)" doc:"Regular expression (RE2) that the whole name must match; any name if absent."`
	User    string `json:"user,omitempty" maxLength:"512" example:"$1" doc:"The user, $1 for what the first group matched; the name itself if absent."`
	Case    string `json:"case,omitempty" enum:"lower,upper" doc:"Changes the user's letters."`
}

// PutClientCA is the body of PUT /v1/instances/{i}/client-cas/{name}: the whole of it.
type PutClientCA struct {
	_ struct{} `additionalProperties:"false"`

	Certificates string            `json:"certificates" minLength:"1" maxLength:"65536" doc:"Certificates of the authority, PEM. Never its private key: a request with one is refused."`
	CRLs         string            `json:"crls,omitempty" maxLength:"262144" doc:"What it has revoked, PEM: complete lists, each signed by one of the certificates."`
	Rules        []CertificateRule `json:"rules,omitempty" maxItems:"32" doc:"The first that matches makes the user; without rules it is the subject."`
}

// ClientCA is a certificate authority by whose certificates an instance's clients
// prove who they are.
type ClientCA struct {
	Name         string            `json:"name"`
	Certificates []CertificateOfCA `json:"certificates" nullable:"false"`
	CRLs         []CRL             `json:"crls" nullable:"false"`
	Rules        []CertificateRule `json:"rules" nullable:"false"`
	CreatedAt    time.Time         `json:"created_at"`
	PEM          *ClientCAPEM      `json:"pem,omitempty" doc:"When one is asked for."`
}

// ClientCAPEM is what a client CA was made of.
type ClientCAPEM struct {
	Certificates string `json:"certificates"`
	CRLs         string `json:"crls"`
}

// CertificateOfCA is one of a client CA's own certificates.
type CertificateOfCA struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint" doc:"SHA-256, in hex."`
	NotAfter    time.Time `json:"not_after"`
}

// CRL is one of a client CA's lists of revoked certificates.
type CRL struct {
	Issuer     string     `json:"issuer"`
	Revoked    int        `json:"revoked"`
	NextUpdate *time.Time `json:"next_update,omitempty" doc:"A list still counts after that; what was revoked since is missing in it."`
}

// ClientCAs answers GET /v1/instances/{i}/client-cas.
type ClientCAs struct {
	Items []ClientCA `json:"items" nullable:"false" doc:"In order of name."`
}

// ChangedClientCA answers PUT /v1/instances/{i}/client-cas/{name}.
type ChangedClientCA struct {
	ClientCA

	ReadyOn ReadyOn `json:"ready_on"`
}

// CheckCertificate is the body of POST /v1/instances/{i}/client-cas/check.
type CheckCertificate struct {
	_ struct{} `additionalProperties:"false"`

	Certificate string `json:"certificate" minLength:"1" maxLength:"131072" doc:"A client's certificate with its intermediates, leaf first, PEM. Without its key."`
}

// CheckedCertificate answers it.
type CheckedCertificate struct {
	User     string `json:"user" doc:"Empty if the certificate is not believed."`
	ClientCA string `json:"client_ca,omitempty" doc:"Which bears it out."`
	Rule     int    `json:"rule,omitempty" doc:"Which of the client CA's rules made the user, from 1 on; absent: it has none."`
	Reason   string `json:"reason,omitempty" example:"certificate-expired" doc:"Why the certificate is not believed: an immutable id."`
	Detail   string `json:"detail,omitempty"`
}

// Authentication is what an instance asks of its clients beside a right proof.
type Authentication struct {
	Mechanisms         []string `json:"mechanisms" nullable:"false" doc:"That clients may use; all that the gateway offers if empty."`
	RequireCertificate bool     `json:"require_certificate" doc:"Also with SASL, a client must show a certificate of one of the client CAs."`
	RequireSASL        bool     `json:"require_sasl" doc:"A certificate alone is not enough."`
}

// PatchAuthentication is the body of PATCH /v1/instances/{i}/authentication. What is
// absent stays as it is.
type PatchAuthentication struct {
	_ struct{} `additionalProperties:"false"`

	Mechanisms         *[]string `json:"mechanisms,omitempty" maxItems:"16"`
	RequireCertificate *bool     `json:"require_certificate,omitempty"`
	RequireSASL        *bool     `json:"require_sasl,omitempty"`
}

// ChangedAuthentication answers PATCH /v1/instances/{i}/authentication.
type ChangedAuthentication struct {
	Authentication

	ReadyOn ReadyOn `json:"ready_on"`
}
