//go:build race

package rewrite

// makes is how often kmsg's append(nil, make(...)...) allocates: the compiler
// joins the two only without the race detector.
const makes = 2
