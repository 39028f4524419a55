package api

import "time"

// RotateUser is the body of POST /v1/instances/{i}/users/{u}/rotate.
type RotateUser struct {
	_ struct{} `additionalProperties:"false"`

	Grace string `json:"grace,omitempty" default:"24h" maxLength:"20" example:"24h" doc:"How long the password before stays valid beside the new one, 0s to 168h. With 0s its clients are cut off at once: for one that has leaked."`
}

// KafkaCredentials are what a client needs to connect, flat and under Kafka's own
// names, as External Secrets and Service Binding for Kubernetes want them.
type KafkaCredentials struct {
	Type             string `json:"type" enum:"kafka"`
	Bootstrap        string `json:"bootstrap.servers" example:"i-7k2m9x4q.kafka.example.com:9092"`
	SecurityProtocol string `json:"security.protocol" enum:"SASL_SSL,SASL_PLAINTEXT"`
	Mechanism        string `json:"sasl.mechanism"`
	Username         string `json:"username"`
	Password         string `json:"password" doc:"Shown this once."`
	CA               string `json:"ssl.ca.pem,omitempty" doc:"The certificate to trust, PEM; absent if a public one."`
	Properties       string `json:"client.properties" doc:"All of this as a file for Kafka's Java clients and tools."`
}

// RotatedUser answers POST /v1/instances/{i}/users/{u}/rotate.
type RotatedUser struct {
	KafkaCredentials
	PreviousValidUntil *time.Time `json:"previous_valid_until,omitempty" doc:"When the password before ends; absent if it has ended."`
	ReadyOn            ReadyOn    `json:"ready_on"`
}

// UpdateUser is the body of PATCH /v1/instances/{i}/users/{u}. What is absent stays.
type UpdateUser struct {
	_ struct{} `additionalProperties:"false"`

	Disabled  *bool   `json:"disabled,omitempty" doc:"Whether the user is kept out; its connections are closed at once."`
	ExpiresAt *string `json:"expires_at,omitempty" maxLength:"40" doc:"From when on the user is kept out: a time of RFC 3339, or never." example:"2026-12-31T23:00:00Z"`
}

// UpdatedUser answers PATCH /v1/instances/{i}/users/{u}.
type UpdatedUser struct {
	User
	ReadyOn ReadyOn `json:"ready_on"`
}

// CreateKey is the body of POST /v1/instances/{i}/users/{u}/keys.
type CreateKey struct {
	_ struct{} `additionalProperties:"false"`

	Comment   string `json:"comment,omitempty" maxLength:"200" doc:"What it is for."`
	ExpiresIn string `json:"expires_in,omitempty" maxLength:"20" example:"720h" doc:"For how long it counts, 1m to 87600h; for ever if absent."`
}

// Key is an API key: another way in for a user, by mechanism PLAIN.
type Key struct {
	ID        string     `json:"id" example:"key-7k2m9x4qabcdefgh"`
	Username  string     `json:"username" doc:"What a client must send as its user name."`
	User      string     `json:"user" doc:"As whom it logs in."`
	Comment   string     `json:"comment,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Absent: never."`
}

// CreatedKey answers POST /v1/instances/{i}/users/{u}/keys.
type CreatedKey struct {
	KafkaCredentials
	Key     Key     `json:"key"`
	ReadyOn ReadyOn `json:"ready_on"`
}

// Keys is a page of GET /v1/instances/{i}/keys.
type Keys struct {
	Items []Key   `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}
