//go:build !race

package proxy

const detectsRaces = false
