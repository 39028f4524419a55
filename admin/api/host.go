package api

import "time"

// SetHost is the body of PUT /v1/instances/{i}/hosts/{name}.
type SetHost struct {
	_ struct{} `additionalProperties:"false"`

	CertificateChain string `json:"certificate_chain" minLength:"1" maxLength:"32768" doc:"PEM, leaf first, then its issuers in order. For both the name and *.name."`
	PrivateKey       string `json:"private_key" writeOnly:"true" minLength:"1" maxLength:"16384" doc:"Of the certificate, PEM, not encrypted. Kept sealed and never shown again."`
}

// Host is a host name of an instance's own.
type Host struct {
	Name      string    `json:"name" example:"kafka.acme.example"`
	Bootstrap []string  `json:"bootstrap" nullable:"false" doc:"Its addresses for bootstrap.servers; empty where the gateway does not route by name."`
	CreatedAt time.Time `json:"created_at"`

	SubjectNames []string  `json:"subject_names" nullable:"false" doc:"DNS names that the certificate is for."`
	NotAfter     time.Time `json:"not_after" doc:"When the certificate expires."`
	Fingerprint  string    `json:"fingerprint" doc:"SHA-256 of the certificate, in hex."`
	EndsSoon     bool      `json:"ends_soon" doc:"The certificate has expired, or will within 30 days."`
}

// ChangedHost answers PUT /v1/instances/{i}/hosts/{name}.
type ChangedHost struct {
	Host
	ReadyOn ReadyOn `json:"ready_on"`
}

// Hosts are all that an instance has.
type Hosts struct {
	Items []Host `json:"items" nullable:"false" doc:"In order of name."`
}
