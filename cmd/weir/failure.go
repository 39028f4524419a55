package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"unicode/utf8"

	"weir/admin/api"
	"weir/gateway"
)

// Exit codes (ux.md 1.4).
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConfig      = 3
	exitNotAllowed  = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitLimit       = 7
	exitTimeout     = 8
	exitInterrupted = 130
)

// codeColumn is where the code of an error begins, if its sentence is shorter.
const codeColumn = 78

// failure is an error for a person: one sentence, an immutable code, what to try.
type failure struct {
	code    string
	message string
	try     []string
	exit    int
	err     error // cause, may be nil
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.err }

// fail prints err on stderr, as a problem document with -o json, and returns
// the exit code.
func fail(e *env, err error) int {
	var problem *api.Problem
	var config *gateway.ConfigError
	f := toFailure(err)
	switch {
	case errors.As(err, &config):
		problem = configProblem(config)
		if e.Output != "json" {
			for _, m := range config.Mistakes {
				printError(e.err, strings.TrimSuffix(m.String(), " ["+m.Code+"]"), m.Code, nil)
			}
			return exitConfig
		}
	case !errors.As(err, &problem):
		problem = localProblem(f.code, f.message)
		problem.Try = strings.Join(f.try, "\n")
	}
	if e.Output == "json" {
		_ = json.NewEncoder(e.err).Encode(problem) // nobody left to tell
		return f.exit
	}
	printError(e.err, f.message, f.code, f.try)
	return f.exit
}

// toFailure finds the code, the exit code and what to try for any error.
func toFailure(err error) *failure {
	var f *failure
	var problem *api.Problem
	var user *gateway.UserError
	var config *gateway.ConfigError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &problem):
		return &failure{code: problem.Code, message: sentence(problem), try: lines(problem.Try), exit: exitOfStatus(problem.Status)}
	case errors.As(err, &user):
		return &failure{code: user.Code, message: user.Message, try: user.Try, exit: exitOfCode(user.Code)}
	case errors.As(err, &config):
		return &failure{code: "config", message: config.Error(), exit: exitConfig}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: "timed-out", message: err.Error(), exit: exitTimeout}
	}
	return &failure{code: "failed", message: err.Error(), exit: exitFailed}
}

// sentence is the detail of a problem and, if there are several, its mistakes.
func sentence(p *api.Problem) string {
	var text strings.Builder
	text.WriteString(strings.TrimSuffix(p.Detail, "."))
	for _, m := range p.Errors {
		if m.Message == "taken" {
			continue // the detail has said so
		}
		text.WriteString("\n  " + strings.TrimPrefix(strings.TrimPrefix(m.Location, "body."), "query.") + ": " + m.Message)
	}
	return text.String()
}

// localProblem is a problem that no server sent, hence without a status.
func localProblem(code, detail string) *api.Problem {
	title := strings.ReplaceAll(code, "-", " ")
	return &api.Problem{Type: api.ProblemBase + code, Title: strings.ToUpper(title[:1]) + title[1:], Code: code, Detail: detail}
}

func configProblem(c *gateway.ConfigError) *api.Problem {
	p := localProblem("config", fmt.Sprintf("%d mistakes in the configuration.", len(c.Mistakes)))
	for _, m := range c.Mistakes {
		p.Errors = append(p.Errors, api.FieldError{Location: fmt.Sprintf("%s:%d:%d %s", m.File, m.Line, m.Column, m.Path), Message: m.Text})
	}
	return p
}

// exitOfCode is for the codes of package gateway.
func exitOfCode(code string) int {
	switch {
	case code == "usage", code == "remote-not-allowed":
		return exitUsage
	case code == "dev-already-running":
		return exitConflict
	case strings.HasPrefix(code, "config-"):
		return exitConfig
	}
	return exitFailed
}

func exitOfStatus(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitNotAllowed
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitConflict
	case http.StatusTooManyRequests:
		return exitLimit
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return exitUsage
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return exitTimeout
	}
	return exitFailed
}

// printError writes the sentence with its code at the right of its first line,
// and the commands to try.
func printError(w io.Writer, message, code string, try []string) {
	first, rest, more := strings.Cut(message, "\n")
	first = "error: " + first
	say(w, "%s%s [%s]\n", first, strings.Repeat(" ", max(0, codeColumn-1-utf8.RuneCountInString(first))), code)
	if more {
		say(w, "%s\n", rest)
	}
	for i, line := range try {
		label := "try:"
		if i > 0 {
			label = ""
		}
		say(w, "  %-4s  %s\n", label, line)
	}
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// unreadable is for a file that a flag names, or whose default it is.
func unreadable(flag, path string, err error) error {
	cause := err.Error()
	var pe *fs.PathError
	if errors.As(err, &pe) {
		cause = pe.Err.Error()
	}
	return &failure{
		code: "file-unreadable", exit: exitFailed, err: err,
		message: fmt.Sprintf("%s %s: %s", flag, path, cause), try: []string{"weir ... " + flag + " FILE"},
	}
}

// unusable is for a folder that a flag names, and that a command cannot work in.
func unusable(flag, dir string, err error) error {
	cause := err.Error()
	var pe *fs.PathError
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		cause = "is no folder"
	case errors.As(err, &pe):
		cause = pe.Err.Error()
	}
	return &failure{
		code: "folder-unusable", exit: exitFailed, err: err,
		message: fmt.Sprintf("%s %s: %s", flag, dir, cause), try: []string{"weir ... " + flag + " DIR      a folder that you may write to"},
	}
}

// unreachable is for an address at which nobody answers.
func unreachable(what, addr string, err error) error {
	cause := err.Error()
	var op *net.OpError
	if errors.As(err, &op) {
		cause = op.Err.Error()
	}
	return &failure{
		code:    "cannot-connect",
		message: fmt.Sprintf("%s at %s does not answer: %s", what, addr, cause),
		try:     []string{"weir dev            start one here", "weir --server URL   use another one"},
		exit:    exitFailed,
		err:     err,
	}
}

// isProblem reports whether the server refused with that code.
func isProblem(err error, code string) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Code == code
}
