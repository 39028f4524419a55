package rewrite

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
	"weir/upstream"
)

// Pool is what a rewrite asks of the pool; *upstream.Pool provides it.
type Pool interface {
	Brokers() []upstream.Broker
	Controller() int32
	Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
	TopicNames(ctx context.Context, asker tenancy.Namespace, ids [][16]byte) map[[16]byte]string
	LearnTopic(id [16]byte, name string)
	ListTopics(ctx context.Context, prefix string) ([]string, error)
	CountPartitions(ctx context.Context, prefix string) (map[string]int, error)
	AwaitTopics(ctx context.Context, names []string)
}

// Store is where an instance's users, ACLs and quotas are kept; *tenancy.Store
// provides it. Errors are tenancy's. WaitApplied returns when every gateway has
// put a revision in force.
type Store interface {
	Users(ctx context.Context, id tenancy.InstanceID) ([]tenancy.User, error)
	PutUser(ctx context.Context, id tenancy.InstanceID, u tenancy.User) (tenancy.User, tenancy.Revision, error)
	DeleteUserVersion(ctx context.Context, id tenancy.InstanceID, name string, version int64) (tenancy.Revision, error)
	ACLs(ctx context.Context, id tenancy.InstanceID) ([]tenancy.ACL, error)
	ChangeACLs(ctx context.Context, id tenancy.InstanceID, add, remove []tenancy.ACL) (tenancy.Revision, error)
	Quotas(ctx context.Context, id tenancy.InstanceID) ([]tenancy.Quota, error)
	ChangeQuotas(ctx context.Context, id tenancy.InstanceID, put []tenancy.Quota, remove []tenancy.QuotaKey) (tenancy.Revision, error)
	WaitApplied(ctx context.Context, rev tenancy.Revision) (ready, of int, err error)
}

// Guard says what a session may do, by the ACLs in force; *auth.Guard is one.
// Names are virtual. Any goroutine.
type Guard interface {
	May(t kmsg.ACLResourceType, name string) auth.Operations
	MayBytes(t kmsg.ACLResourceType, name []byte) auth.Operations
	MayAny(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool
	Generation() uint64
}

// Session is what stays the same for all exchanges of one client connection,
// and the little that Kafka binds to a connection. Map runs on the connection's
// reading goroutine, Unmap on its answering one: mu guards what both touch.
type Session struct {
	Instance  tenancy.InstanceID
	Space     tenancy.Namespace
	ClusterID string // virtual
	Principal string // logical, "User:alice"
	Guard     Guard  // what the ACLs allow; nil: everything
	Pool      Pool
	Store     Store
	Limits    Limits    // nil: there are none
	Counting  *Counting // of the use of topics; nil: it is not
	// Address is where this client reaches a node of the pool: the gateway's own host and port.
	Address func(node int32) (host string, port int32)
	// Foreign says whether a broker's text names something that is not this instance's:
	// another instance's prefix, a broker's host, the gateway's principal, the pool's cluster id.
	Foreign func(text string) bool
	// Registered says whether there is an instance of that id; nil: only this one.
	Registered func(id string) bool
	// AutoCreate lets a Metadata request create topics that are missing, with
	// the pool's default partitions and replicas.
	AutoCreate bool

	turns      atomic.Int32            // that this session has of Limits.Turn
	spare      atomic.Pointer[tallies] // for the next exchange with many; nil: lent, or never needed
	prefixHash atomic.Uint64           // metering's of the prefix; 0: not known yet
	oddOnce    sync.Once
	oddNames   []string // by namesOddAlias

	mu            sync.Mutex
	fetchSessions []issuedSession           // those the broker issued on this connection (protocol.md 2.3), oldest first
	topicIDs      idMemory                  // ids known to be this instance's topics
	groupTypes    map[string]string         // virtual group → protocol type seen in JoinGroup (2.5)
	shareSessions map[shareKey]shareSession // opened on this connection
}

// Exchange is one request on its way through its rewrite.
type Exchange struct {
	*Session
	Ctx      context.Context // ends with the connection
	Key      int16
	Version  int16
	ClientID *string
	// Mutations are what creating and deleting topics is charged to; nil: to nobody.
	Mutations Mutations
	use       Usage           // if Session.Counting
	needs     Needs           // of the row; set by API.Plan
	said      []string        // what the request says, and names by mention; set by tripwire.watch
	words     map[string]bool // of said, once lessSaid needs them
}

// Plan says what becomes of a request. Exactly one of Answer and Request is not
// nil. Both are bodies (what follows the header), in pieces that are written
// one after the other; they may alias the body they were made from. The request's
// body is gone once Request has been written: Unmap must not refer to it.
type Plan struct {
	Answer  [][]byte
	Request [][]byte
	// Silent: the broker will not answer (Produce with acks=0), nor do we.
	Silent bool
	// Held is about how many bytes Unmap keeps alive until the answer is there.
	Held int
	// Usage is what the exchange uses of topics, known when Unmap has returned or, of a
	// Silent one, now; nil: nothing, or it is not counted.
	Usage *Usage
	// Unmap turns the broker's response body into the client's. It may return
	// pieces that alias body.
	Unmap func(body []byte) ([][]byte, error)
}

// Error closes the connection. Reason is immutable: metric label and log
// attribute. Err is for our log only.
type Error struct {
	Reason string
	Err    error
}
