package api

import "time"

// CreateInstance is the body of POST /v1/instances.
type CreateInstance struct {
	_ struct{} `additionalProperties:"false"` // a misspelt field is a mistake, not ignored

	ID        string      `json:"id,omitempty" maxLength:"32" pattern:"^[a-z][a-z0-9-]{0,30}[a-z0-9]$" patternDescription:"2 to 32 of a-z, 0-9 and -, beginning with a letter and not ending with -" doc:"Chosen id, unique over all tenants and never reused; generated if absent."`
	Name      string      `json:"name,omitempty" maxLength:"63" pattern:"^[a-z][a-z0-9-]{0,62}$" patternDescription:"1 to 63 of a-z, 0-9 and -, beginning with a letter" doc:"Display name, unique within the tenant; the id if absent."`
	Tenant    string      `json:"tenant,omitempty" maxLength:"32" doc:"Owner; the caller's own tenant if absent. Another one only for operators."`
	Plan      string      `json:"plan,omitempty" doc:"The default plan if absent."`
	AdminUser *CreateUser `json:"admin_user,omitempty" doc:"A first user, made together with the instance."`
}

// Instance is one virtual Kafka.
type Instance struct {
	ID        string    `json:"id" example:"i-7k2m9x4q"`
	Name      string    `json:"name" example:"orders"`
	Tenant    string    `json:"tenant" example:"t-acme"`
	Plan      string    `json:"plan"`
	Pool      string    `json:"pool"`
	State     string    `json:"state" enum:"active,suspended,deleting"`
	Restraint string    `json:"restraint,omitempty" enum:"throttle,stop" doc:"What the tenant's spent budget does to it: 64 KiB/s each way, or no connections."`
	CreatedAt time.Time `json:"created_at"`
	// Bootstrap are the addresses for bootstrap.servers.
	Bootstrap []string `json:"bootstrap" nullable:"false"`
	// OwnBootstrap are not among Bootstrap: a client that trusts the one certificate
	// may not trust the other, and one that asks both would fail now and then.
	OwnBootstrap     []string `json:"own_bootstrap,omitempty" doc:"The addresses at the instance's own host names, whose certificates are the instance's own too: use these or bootstrap, not both in one client."`
	SecurityProtocol string   `json:"security_protocol" enum:"SASL_SSL,SASL_PLAINTEXT"`
	Mechanisms       []string `json:"mechanisms" nullable:"false" doc:"SASL mechanisms, the recommended one first."`
	CA               string   `json:"ca_pem,omitempty" doc:"The certificate to trust, PEM; absent if a public one."`
	Version          int64    `json:"version" doc:"Grows by one with every change."`
}

// CreatedInstance answers POST /v1/instances.
type CreatedInstance struct {
	Instance
	Credentials *Credentials `json:"credentials,omitempty" doc:"Of admin_user."`
	ReadyOn     ReadyOn      `json:"ready_on"`
}

// Credentials are what a client logs in with.
type Credentials struct {
	Username string `json:"username" doc:"What a client must send as its user name."`
	Password string `json:"password,omitempty" doc:"Shown this once. Absent if the request brought its own."`
}

// ReadyOn says on how many of the live gateways a change is in force.
type ReadyOn struct {
	Gateways int `json:"gateways"`
	Of       int `json:"of"`
}

// Instances is a page of GET /v1/instances.
type Instances struct {
	Items []Instance `json:"items" nullable:"false"`
	Next  *string    `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}

// RotatedIdentity answers POST /v1/instances/{instance}/identity/rotate.
type RotatedIdentity struct {
	Principal string  `json:"principal" example:"User:weir-i-7k2m9x4q" doc:"As the pool's ACLs name it."`
	ReadyOn   ReadyOn `json:"ready_on"`
}
