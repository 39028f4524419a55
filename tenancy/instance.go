package tenancy

import "time"

// State is where an instance is in its life.
type State string

const (
	StateActive    State = "active"
	StateSuspended State = "suspended" // kept, but nobody may connect
	StateDeleting  State = "deleting"  // its topics and groups are being removed from the pool
	StateDeleted   State = "deleted"   // a tombstone: keeps the id from being used again
)

// Instance is the virtual Kafka that a client believes it talks to.
type Instance struct {
	ID        InstanceID `json:"id"`
	Name      string     `json:"name"` // display name, unique in its tenant
	Tenant    TenantID   `json:"tenant"`
	Plan      string     `json:"plan"`
	Pool      string     `json:"pool"`
	State     State      `json:"state"`
	ClusterID string     `json:"cluster_id"` // virtual: 22 characters of base64url, stable
	CreatedAt time.Time  `json:"created_at"`
	Version   int64      `json:"version"` // grows by one with every change; optimistic concurrency
}

// User is who may log in to one instance.
type User struct {
	Name        string       `json:"name"` // [A-Za-z0-9._-]{1,64}
	Disabled    bool         `json:"disabled,omitempty"`
	Credentials []Credential `json:"credentials"`
	CreatedAt   time.Time    `json:"created_at"`
	Version     int64        `json:"version"`
}

// Credential is what is kept of a password: SCRAM keys for one mechanism (RFC 5802), never the password.
type Credential struct {
	Mechanism  string `json:"mechanism"` // SCRAM-SHA-256 or SCRAM-SHA-512
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
	Iterations int    `json:"iterations"`
}
