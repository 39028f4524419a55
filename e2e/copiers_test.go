//go:build real

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// compileJava compiles a program of clients/ and returns the class path to run it.
func compileJava(t *testing.T, w *world, class string) string {
	t.Helper()
	libs, err := parts.KafkaLibs()
	if err != nil {
		t.Fatal(err)
	}
	classes := filepath.Join(w.dir, "classes")
	javac := exec.CommandContext(t.Context(), "javac", "-Xlint:all", "-Werror", "-proc:none", "-cp", filepath.Join(libs, "*"), "-d", classes,
		filepath.Join("clients", class+".java"))
	if out, err := javac.CombinedOutput(); err != nil {
		t.Fatalf("javac %s: %v\n%s", class, err, out)
	}
	return filepath.Join(libs, "*") + string(os.PathListSeparator) + classes
}

// copyByJava runs clients/ExactlyOnceCopy and follows what it prints.
func (w *world) copyByJava(classPath string) func(context.Context, *testing.T, *eosCopy) error {
	return func(ctx context.Context, t *testing.T, c *eosCopy) error {
		cmd := exec.CommandContext(ctx, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classPath, "ExactlyOnceCopy",
			w.properties(c.in), eosSource, eosTarget, eosGroup, eosTxn, strconv.Itoa(eosRecords))
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		log, err := os.Create(filepath.Join(w.dir, "java.log"))
		if err != nil {
			return err
		}
		defer log.Close()
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			return err
		}
		for s := bufio.NewScanner(out); s.Scan(); {
			if n, ok := strings.CutPrefix(s.Text(), "committed "); ok {
				records, _ := strconv.Atoi(n)
				c.committed(records)
			} else {
				c.trouble(s.Text())
			}
		}
		if err := cmd.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%w\n%s", err, tail(text, 4000))
		}
		return nil
	}
}

// copyByFranz copies with sessions of franz-go, one after another: an error of
// End is never to be retried on the same session.
func (w *world) copyByFranz(ctx context.Context, t *testing.T, c *eosCopy) error {
	for {
		err := w.copySession(ctx, t, c)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		c.trouble("session: " + err.Error())
	}
}

// copySession copies until the group has committed the whole source.
func (w *world) copySession(ctx context.Context, t *testing.T, c *eosCopy) error {
	s, err := kgo.NewGroupTransactSession(w.options(c.in,
		// Kafka 4 may refuse a transaction's first batch while it still writes
		// the markers of the last one; franz-go then waits for new metadata.
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.TransactionalID(eosTxn), kgo.TransactionTimeout(20*time.Second),
		kgo.ConsumerGroup(eosGroup), kgo.ConsumeTopics(eosSource), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)...)
	if err != nil {
		return err
	}
	defer s.Close()
	for ctx.Err() == nil && committedBy(s.Client()) < eosRecords {
		poll, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := s.PollRecords(poll, 300)
		cancel()
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return err
		}
		first := kgo.AbortingFirstErrPromise(s.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: eosTarget, Key: r.Key, Value: r.Value}, first.Promise())
		})
		failed := first.Err()
		committed, err := s.End(ctx, failed == nil)
		switch {
		case err != nil:
			return fmt.Errorf("end: %w", err)
		case committed:
			c.committed(fetches.NumRecords())
		default:
			c.trouble(fmt.Sprintf("aborted: %v", failed))
		}
	}
	return ctx.Err()
}

// committedBy sums what a member knows of its group's committed offsets.
func committedBy(cl *kgo.Client) (sum int64) {
	for _, at := range cl.CommittedOffsets()[eosSource] {
		sum += max(0, at.Offset)
	}
	return sum
}
