//go:build bench

package quota_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// waits is for how long the threads of each gateway had something to do and no core to
// do it on, since it started (schedstats): whether the machine was busy with something else.
func (r *rig) waits() (sum time.Duration) {
	for _, g := range r.gateways {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", g.Pid()))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if fields := strings.Fields(string(text)); len(fields) == 3 {
				n, _ := strconv.ParseInt(fields[1], 10, 64)
				sum += time.Duration(n)
			}
		}
	}
	return sum
}

// watchRedis lets Redis note what takes it longer than leases can wait for.
func (r *rig) watchRedis() {
	r.t.Helper()
	if err := r.rdb.ConfigSet(r.t.Context(), "latency-monitor-threshold", "50").Err(); err != nil {
		r.t.Fatal(err)
	}
}

// delays are what Redis has noted since the last call: event, unix time, newest and
// longest delay in ms.
func (r *rig) delays() string {
	found, err := r.rdb.Do(r.t.Context(), "LATENCY", "LATEST").Result()
	if err != nil {
		return err.Error()
	}
	_ = r.rdb.Do(r.t.Context(), "LATENCY", "RESET").Err()
	return fmt.Sprint(found)
}
