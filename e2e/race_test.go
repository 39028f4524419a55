//go:build real && race

package e2e

// buildFlags build the binary as the test is built.
func buildFlags() []string { return []string{"-race"} }
