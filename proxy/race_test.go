//go:build race

package proxy

// detectsRaces: the detector keeps a multiple of all memory beside it.
const detectsRaces = true
