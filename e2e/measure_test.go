//go:build real

package e2e

import (
	"flag"
	"time"
)

// times is how often stories repeat what they measure.
var times = flag.Int("times", 5, "how often stories repeat what they measure; 20 for numbers that are to be told")

// tooLong is no goal, which stories only print: it tells what happens at once from
// what does not happen, on whatever machine.
const tooLong = 5 * time.Second
