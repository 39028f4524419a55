package gateway

import "fmt"

// UserError is an error for a person at a terminal: what failed, a code that
// never changes, and commands to try. cmd/weir prints it.
type UserError struct {
	Code    string   // "port-in-use"
	Message string   // one line, lower-case
	Try     []string // each a command, perhaps with a few words after it
	Err     error    // the cause; may be nil
}

func (e *UserError) Error() string { return e.Message }
func (e *UserError) Unwrap() error { return e.Err }

func userError(code string, cause error, try []string, format string, args ...any) *UserError {
	return &UserError{Code: code, Message: fmt.Sprintf(format, args...), Try: try, Err: cause}
}
