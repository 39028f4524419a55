package tenancy

import (
	"errors"
	"fmt"
	"time"
)

// State is where an instance is in its life.
type State string

const (
	StateActive    State = "active"
	StateSuspended State = "suspended" // kept, but nobody may connect
	StateDeleting  State = "deleting"  // its topics and groups are being removed from the pool
	StateDeleted   State = "deleted"   // a tombstone: keeps the id from being used again
)

// MaxUsers is how many users an instance may have: a view of it is held in
// memory by every gateway and loaded in one piece.
const MaxUsers = 1000

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
	// Restraint holds while the tenant's budget is spent.
	Restraint Restraint `json:"restraint,omitempty"`
	// Version grows by one with every change of the instance itself (not of its
	// users); optimistic concurrency.
	Version int64 `json:"version"`
}

// User is who may log in to one instance.
type User struct {
	Name        string       `json:"name"` // [A-Za-z0-9._-]{1,64}
	Disabled    bool         `json:"disabled,omitempty"`
	Credentials []Credential `json:"credentials"`
	CreatedAt   time.Time    `json:"created_at"`
	ExpiresAt   time.Time    `json:"expires_at,omitzero"` // from then on as if it were disabled; zero: never
	Version     int64        `json:"version"`             // grows by one with every change
}

// Credential is what is kept of a password for one mechanism, never the password:
// SCRAM keys (RFC 5802), or a hash under the gateways' pepper for PLAIN.
type Credential struct {
	Mechanism  string `json:"mechanism"` // SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
	Iterations int    `json:"iterations"`
	// Secret is the id of the password that this was made of, one for all
	// mechanisms: by it a session knows whether what it was opened with still counts.
	// "" on a password that came in Kafka's own protocol.
	Secret string `json:"secret,omitempty"`
	// ExpiresAt ends the password: the older of two during a rotation. Zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// String keeps keys and salts out of whatever prints a user or a view.
func (c Credential) String() string { return c.Mechanism + " credential" }

// GoString is String for %#v.
func (c Credential) GoString() string { return c.String() }

// check says everything that keeps an instance from being stored.
func (in Instance) check() error {
	_, idErr := ParseInstanceID(string(in.ID))
	_, tenantErr := ParseTenantID(string(in.Tenant))
	errs := []error{
		idErr, tenantErr,
		CheckName("instance name", in.Name),
		CheckName("plan name", in.Plan),
		CheckName("pool name", in.Pool),
		in.Restraint.check(),
	}
	switch in.State {
	case StateActive, StateSuspended, StateDeleting, StateDeleted:
	default:
		errs = append(errs, fmt.Errorf("instance state %q is unknown", in.State))
	}
	if in.ClusterID == "" {
		errs = append(errs, errors.New("cluster id is empty: draw one with NewClusterID"))
	}
	return oneLine(errs)
}

// oneLine is errors.Join on one line.
func oneLine(errs []error) error {
	var all error
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// checkChange refuses to change what must stay as it was created: sessions,
// names in the pool and bills hang on it.
func checkChange(from, to Instance) error {
	switch {
	case to.ID != from.ID:
		return fmt.Errorf("instance %s: its id cannot change to %q", from.ID, to.ID)
	case to.Tenant != from.Tenant:
		return fmt.Errorf("instance %s: its tenant cannot change to %q", from.ID, to.Tenant)
	case to.ClusterID != from.ClusterID:
		return fmt.Errorf("instance %s: its cluster id cannot change", from.ID)
	case !to.CreatedAt.Equal(from.CreatedAt):
		return fmt.Errorf("instance %s: its creation time cannot change", from.ID)
	case from.State == StateDeleting && to.State != StateDeleting && to.State != StateDeleted:
		return fmt.Errorf("instance %s: it is being deleted and cannot become %s again", from.ID, to.State)
	}
	return to.check()
}
