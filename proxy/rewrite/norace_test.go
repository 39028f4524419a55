//go:build !race

package rewrite

const makes = 1
