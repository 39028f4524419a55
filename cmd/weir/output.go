package main

import (
	"fmt"
	"io"
	"sync"
)

// output is stdout. It remembers the first error, so that text can be written
// without a check at each line and a full disk still fails the command. Any goroutine.
type output struct {
	w io.Writer

	mu  sync.Mutex
	err error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// say writes text for people. What could not be written to stdout is found by
// cli; of stderr there is nobody left to tell.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
