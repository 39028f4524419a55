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
