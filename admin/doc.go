// Package admin is the management face: REST under /v1, metrics and health.
package admin
