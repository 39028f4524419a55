package gateway

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Users are the same ones over Kafka's protocol and over REST.
func TestDevUsersOverKafkaAndREST(t *testing.T) {
	r := startDev(t, DevOptions{DataDir: filepath.Join(t.TempDir(), ".weir")})
	cl := r.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	altered, err := adm.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{
		{User: "bob", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "bob's password"},
	})
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := r.get("/v1/instances/demo/users/bob"); !strings.Contains(got, `"mechanisms":["SCRAM-SHA-512"]`) {
		t.Errorf("over REST: %s", got)
	}
	described, err := adm.DescribeUserSCRAMs(t.Context(), demoUser, "bob")
	if err != nil || len(described[demoUser].CredInfos) != 2 || len(described["bob"].CredInfos) != 1 {
		t.Errorf("over Kafka: %v, %v", described, err)
	}
}
