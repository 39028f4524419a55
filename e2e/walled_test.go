//go:build real

package e2e

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/internal/parts"
)

// identityMode is "instance" or "gateway" to run every story before brokers that
// ask who is there (docs/pool-identity.md), in that mode; "": before open ones.
func identityMode() string { return os.Getenv("WEIR_IDENTITY") }

const (
	gatewayUser = "gateway"
	gatewayPass = "gateway-password"
)

// walledSettings make brokers ask who is there, and an authorizer what they may.
// The brokers themselves and the controllers are super users; nobody else is.
func walledSettings(more ...string) []string {
	return append([]string{
		"listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		"sasl.mechanism.inter.broker.protocol=PLAIN",
		`listener.name.plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="broker-password" user_broker="broker-password";`,
		`listener.name.plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:broker;User:ANONYMOUS",
	}, more...)
}

// newWalledWorld is a world whose pool has an authorizer, and a gateway's user in
// it that may do no more than docs/pool-identity.md says for the mode.
func newWalledWorld(t *testing.T, mode string, brokers int, more ...string) *world {
	t.Helper()
	w := newWorldOn(t, parts.StartKafka(t, brokers, walledSettings(more...)...))
	w.write("kafka.password", []byte(gatewayPass))
	w.write("seal.key", sealKey())
	w.pool = ", sasl: {mechanism: SCRAM-SHA-512, username: " + gatewayUser + ", password_file: kafka.password}, identity: " + mode
	w.more = "secrets: {key_files: [seal.key]}\n"
	w.grantGateway(mode)
	return w
}

func sealKey() []byte { return bytes.Repeat([]byte("s"), 32) }

// gatewayACLs are those of docs/pool-identity.md.
func gatewayACLs(mode string) map[kmsg.ACLResourceType][]kmsg.ACLOperation {
	if mode == "instance" {
		return map[kmsg.ACLResourceType][]kmsg.ACLOperation{
			kmsg.ACLResourceTypeTopic:           {kmsg.ACLOperationDescribe, kmsg.ACLOperationCreate, kmsg.ACLOperationDelete, kmsg.ACLOperationDescribeConfigs},
			kmsg.ACLResourceTypeGroup:           {kmsg.ACLOperationDescribe, kmsg.ACLOperationRead, kmsg.ACLOperationDelete},
			kmsg.ACLResourceTypeTransactionalId: {kmsg.ACLOperationDescribe},
			kmsg.ACLResourceTypeCluster:         {kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlter},
		}
	}
	return map[kmsg.ACLResourceType][]kmsg.ACLOperation{
		kmsg.ACLResourceTypeTopic:           {kmsg.ACLOperationAll},
		kmsg.ACLResourceTypeGroup:           {kmsg.ACLOperationAll},
		kmsg.ACLResourceTypeTransactionalId: {kmsg.ACLOperationAll},
		kmsg.ACLResourceTypeCluster:         {kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs},
	}
}

// superuser is a client of the pool that may do everything.
func (w *world) superuser() *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Bootstrap()...),
		kgo.SASL(plain.Auth{User: "broker", Pass: "broker-password"}.AsMechanism()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// grantGateway makes the gateway's user.
func (w *world) grantGateway(mode string) {
	w.t.Helper()
	super := w.superuser()
	user := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = gatewayUser, 2, 4096, []byte("salt of the test")
	var err error
	if u.SaltedPassword, err = pbkdf2.Key(sha512.New, gatewayPass, u.Salt, int(u.Iterations), sha512.Size); err != nil {
		w.t.Fatal(err)
	}
	user.Upsertions = append(user.Upsertions, u)
	acls := kmsg.NewPtrCreateACLsRequest()
	for resource, operations := range gatewayACLs(mode) {
		for _, op := range operations {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = resource, "*", kmsg.ACLResourcePatternTypeLiteral
			if resource == kmsg.ACLResourceTypeCluster {
				c.ResourceName = "kafka-cluster"
			}
			c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+gatewayUser, "*", op, kmsg.ACLPermissionTypeAllow
			acls.Creations = append(acls.Creations, c)
		}
	}
	// Brokers listen before their first metadata has come.
	parts.Await(w.t, "the gateway's user is in the pool", time.Minute, func() bool {
		made, err := user.RequestWith(w.t.Context(), super)
		if err != nil || len(made.Results) != 1 || made.Results[0].ErrorCode != 0 {
			return false
		}
		granted, err := acls.RequestWith(w.t.Context(), super)
		if err != nil {
			return false
		}
		for _, r := range granted.Results {
			if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
				w.t.Logf("acl: %v", err)
				return false
			}
		}
		return true
	})
}
