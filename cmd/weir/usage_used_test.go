package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/admin/api"
)

// used INSTANCE METER SUM: until so much of a meter is shown, at most a minute. @FILE is
// an instance whose id stands in a file.
func used(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: used INSTANCE METER SUM")
	}
	instance := args[0]
	if file, ok := strings.CutPrefix(instance, "@"); ok {
		instance = strings.TrimSpace(ts.ReadFile(file))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		ts.Check(ts.Exec("weir", "usage", "get", instance, "--granularity", "month", "-o", "json"))
		var u api.Usage
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &u))
		for _, i := range u.Items {
			if last = i.Meters[args[1]]; last == args[2] {
				return
			}
		}
	}
	ts.Fatalf("%s of %s is %q after a minute, want %s", args[1], instance, last, args[2])
}
