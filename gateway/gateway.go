package gateway

import (
	"context"
	"io"
)

// Config is weir.yaml.
type Config struct{}

// Load reads and checks a configuration file.
func Load(path string) (*Config, error) { panic("stub") }

// Serve runs a gateway until ctx ends, then drains; now, when closed, ends the drain at once.
func Serve(ctx context.Context, cfg *Config, log io.Writer, version string, now <-chan struct{}) error {
	panic("stub")
}

// DevOptions are the flags of `weir dev`.
type DevOptions struct {
	DataDir, Listen, Admin          string
	Kafka                           []string
	Redis                           string
	Fresh, AllowRemote, Quiet, JSON bool
	Version                         string
	Out, Err                        io.Writer
}

// Dev runs a gateway with everything embedded until ctx ends.
func Dev(ctx context.Context, o DevOptions, now <-chan struct{}) error { panic("stub") }

// UserError is an error for a person: a code that never changes and lines to try.
type UserError struct {
	Code    string
	Message string
	Try     []string
}

func (e *UserError) Error() string { return e.Message }
