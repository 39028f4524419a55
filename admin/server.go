package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/admin/api"
)

// caller is who sent a request, set by authenticate for the handlers.
type caller struct {
	claims Claims
	rights rights
	id     string // of the request
	w      http.ResponseWriter
}

// unhurried takes the time limits off a request that works for long before, or while,
// it is answered; hurried gives the client so long to take what comes next. Where
// there are no such limits, as in tests, both do nothing.
func (c *caller) unhurried() {
	rc := http.NewResponseController(c.w)
	_ = rc.SetReadDeadline(time.Time{}) // passing, it would end the request's context
	_ = rc.SetWriteDeadline(time.Time{})
}

func (c *caller) hurried(d time.Duration) error {
	err := http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(d))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// callerKey is the context key of *caller. It is set in one place, and callerOf
// fails closed: without authenticate in front of it no handler runs.
type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	return ctx.Value(callerKey{}).(*caller)
}

// handler wires the open routes and, behind a token, the others.
func (s *server) handler() (http.Handler, error) {
	s.routes = http.NewServeMux()
	spec, err := s.register(s.routes)
	if err != nil {
		return nil, err
	}
	metrics := promhttp.HandlerFor(s.cfg.Gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	s.routes.Handle("GET /metrics", s.need(metricsRead, metrics))

	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", s.healthz)
	open.HandleFunc("GET /readyz", s.readyz)
	open.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(spec)
	})
	open.HandleFunc("/", s.authenticate)
	return s.observe(open), nil
}

// healthz says that the process lives; it never depends on anything else.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, map[string]string{"status": "ok", "version": s.cfg.Version})
}

// readyz says whether this gateway should be sent clients.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Ready(); err != nil {
		writeStatus(w, http.StatusServiceUnavailable, map[string]string{"status": "unready", "reason": err.Error()})
		return
	}
	writeStatus(w, http.StatusOK, map[string]string{"status": "ready"})
}

func writeStatus(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone; nobody to tell
}

// observe gives every request an id, logs it once it is done, and turns a panic
// into an answer and a log line.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := "req-" + strings.ToLower(rand.Text()[:8])
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("Request-Id", id)
		rec.Header().Set("X-Content-Type-Options", "nosniff")
		rec.Header().Set("Cache-Control", "no-store")
		defer func() {
			v := recover()
			if v != nil && v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				s.cfg.Log.Error("admin request panicked", "request", id, "panic", v, "stack", string(debug.Stack()))
				if rec.status == 0 {
					writeProblem(rec, id, problem(codeInternal, "Something went wrong here; the log knows it as %s.", id))
				}
			}
			level := slog.LevelInfo
			probe := r.URL.Path == "/readyz" || r.URL.Path == "/healthz" // asked every second, by machines
			if r.Method == http.MethodGet && (probe || rec.status < http.StatusBadRequest) {
				level = slog.LevelDebug
			}
			s.cfg.Log.Log(r.Context(), level, "admin request", "request", id, "method", r.Method, "path", r.URL.Path,
				"status", rec.status, "subject", rec.subject, "took", time.Since(start))
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(v) // cuts the connection: the answer must not look whole
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// authenticate lets a request with a valid token through to the routes.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request) {
	id := w.Header().Get("Request-Id")
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
		p := problem(codeUnauthenticated, "The request has no bearer token.")
		p.Try = `curl -H "Authorization: Bearer $(cat FILE)" ...` // weir itself always sends one
		writeProblem(w, id, p)
		return
	}
	claims, err := s.tokens.verify(strings.TrimSpace(token))
	if err != nil {
		s.cfg.Log.Warn("admin token refused", "request", id, "err", err)
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir", error="invalid_token"`)
		writeProblem(w, id, problem(codeUnauthenticated, "The bearer token is not valid."))
		return
	}
	if rec, ok := w.(*recorder); ok {
		rec.subject = claims.Subject
	}
	if !s.limit.allow(claims.ID) {
		w.Header().Set("Retry-After", "1")
		writeProblem(w, id, problem(codeRateLimited, "This token may send %d requests a second.", requestsPerSecond))
		return
	}
	c := &caller{claims: claims, rights: rightsOf(claims.Roles), id: id, w: w}
	s.route(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

// route answers what the mux has no pattern for with a problem instead of its
// own plain text.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = csvPath(r.URL.Path)
	h, pattern := s.routes.Handler(r)
	if pattern != "" {
		s.routes.ServeHTTP(w, r) // not h: only ServeHTTP sets the path values
		return
	}
	probe := &recorder{ResponseWriter: discard{header: http.Header{}}}
	h.ServeHTTP(probe, r)
	id := w.Header().Get("Request-Id")
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.Header().Get("Allow"))
		writeProblem(w, id, problem(codeMethod, "%s allows %s.", r.URL.Path, probe.Header().Get("Allow")))
		return
	}
	writeProblem(w, id, problem(codeNoSuchRoute, "There is nothing at %s; /openapi.json lists what there is.", r.URL.Path))
}

// need refuses a caller without the scope.
func (s *server) need(sc scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := callerOf(r.Context()); !c.rights.allow(sc) {
			writeProblem(w, c.id, refused(sc))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refused is the answer to a caller without the scope.
func refused(sc scope) *api.Problem {
	return problem(codeNotAllowed, "This needs %s, which the token's roles do not give.", sc)
}

func writeProblem(w http.ResponseWriter, id string, p *api.Problem) {
	p.RequestID = id
	w.Header().Set("Content-Type", api.ProblemContentType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone; nobody to tell
}

// recorder remembers the status for the log. One request, one goroutine.
type recorder struct {
	http.ResponseWriter
	status  int
	subject string
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// discard is a response nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
