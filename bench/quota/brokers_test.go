//go:build bench

package quota_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"
)

// batch is what a fetch brings at the least, in bytes; three of them fit into request.
const batch = 16_000

// brokerPorts are where the two clusters listen.
type brokerPorts struct {
	Sink  int // keeps nothing, and fetches get the same batch for ever
	Store int // is like any other
}

// runBrokers serves until its standard input ends.
func runBrokers(arg []byte) error {
	var at brokerPorts
	if err := json.Unmarshal(arg, &at); err != nil {
		return err
	}
	sink, err := kfake.NewCluster(kfake.Ports(at.Sink), kfake.NumBrokers(1), kfake.BlackholeProduce(),
		kfake.SyntheticFetch(kfake.SyntheticBatch{Records: 1, RecordBytes: batch, RandomFrac: 1}))
	if err != nil {
		return err
	}
	defer sink.Close()
	store, err := kfake.NewCluster(kfake.Ports(at.Store), kfake.NumBrokers(1))
	if err != nil {
		return err
	}
	defer store.Close()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
