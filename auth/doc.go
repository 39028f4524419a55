// Package auth: stub.
package auth
