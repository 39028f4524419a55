// Package upstream: stub.
package upstream
