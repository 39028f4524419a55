// Package tenancy: stub.
package tenancy
