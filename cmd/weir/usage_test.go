package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
)

// exportServer serves one export, and cuts off answers.
type exportServer struct {
	files   map[string]string
	cut     int // a file's answer ends after so many bytes; 0: never
	busy    int // so many requests are told to wait
	refuse  bool
	changed bool // the next answer to a range is of other bytes
	asked   []string
}

func (s *exportServer) export(whole bool) api.Export {
	e := api.Export{ID: "e1~csv", Format: "csv", Files: []api.ExportFile{}}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f := api.ExportFile{Name: name, ETag: `"` + name + `"`}
		if whole {
			rows, size := int64(strings.Count(s.files[name], "\n")-1), int64(len(s.files[name]))
			sum := sha256.Sum256([]byte(s.files[name]))
			f.Rows, f.Bytes, f.SHA256 = &rows, &size, hex.EncodeToString(sum[:])
		}
		e.Files = append(e.Files, f)
	}
	return e
}

func (s *exportServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/exports")+" "+r.Header.Get("Range")))
	problem := func(status int, code string, retryable bool) {
		w.Header().Set("Content-Type", api.ProblemContentType)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: status, Code: code, Detail: "No.", Retryable: retryable})
	}
	name, isFile := strings.CutPrefix(r.URL.Path, "/v1/exports/e1~csv/files/")
	switch {
	case s.refuse:
		problem(http.StatusUnprocessableEntity, "validation-failed", false)
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(s.export(false))
	case s.busy > 0:
		s.busy--
		problem(http.StatusTooManyRequests, "exports-limit-reached", true)
	case !isFile:
		_ = json.NewEncoder(w).Encode(s.export(true))
	default:
		s.file(w, r, name)
	}
}

func (s *exportServer) file(w http.ResponseWriter, r *http.Request, name string) {
	text, at := s.files[name], 0
	if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && r.Header.Get("If-Range") == `"`+name+`"` && !s.changed {
		at, _ = strconv.Atoi(strings.TrimSuffix(from, "-"))
		if at >= len(text) {
			w.Header().Set("Content-Range", "bytes */"+strconv.Itoa(len(text)))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.WriteHeader(http.StatusPartialContent)
	}
	s.changed = false
	if s.cut > 0 && s.cut < len(text)-at {
		_, _ = w.Write([]byte(text[at : at+s.cut]))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write([]byte(text[at:]))
}

// exporting runs weir usage export against the server.
func (s *exportServer) exporting(t *testing.T, dir string, more ...string) (code int, out, stderr string) {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	args := append([]string{"--server", srv.URL, "--token-file", token, "usage", "export", "--from", "2026-11-01", "--to", "2026-11-03", "--format", "csv", "--out", dir}, more...)
	code = cli(t.Context(), args, &env{out: &o, err: &e})
	return code, o.String(), e.String()
}

func threeFiles() *exportServer {
	return &exportServer{files: map[string]string{
		"usage-2026-11-01.csv": "id\n" + strings.Repeat("one\n", 1000),
		"usage-2026-11-02.csv": "id\n",
		"usage-2026-11-03.csv": "id\nlast\n",
	}}
}

// holds compares a folder with what the server has.
func (s *exportServer) holds(t *testing.T, dir string) {
	t.Helper()
	want := map[string]string{}
	maps.Copy(want, s.files)
	got := map[string]string{}
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() != exportState && f.Name() != manifest {
			got[f.Name()] = string(raw)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(dir, manifest)); err != nil {
		t.Error(err)
	}
}

func TestUsageExport(t *testing.T) {
	s, dir := threeFiles(), filepath.Join(t.TempDir(), "new", "folder")
	code, out, stderr := s.exporting(t, dir)
	sum := sha256.Sum256([]byte(s.files["usage-2026-11-01.csv"]))
	if want := "usage-2026-11-01.csv  1000  4003   " + hex.EncodeToString(sum[:]); code != exitOK || stderr != "" || !strings.Contains(out, want) {
		t.Errorf("%d %s\n%s, want %s", code, stderr, out, want)
	}
	s.holds(t, dir)
	s.asked = nil
	if code, again, _ := s.exporting(t, dir); code != exitOK || again != out || !slices.Equal(s.asked, []string{"GET /e1~csv"}) {
		t.Errorf("once more: %d, %q", code, s.asked)
	}
	if _, names, _ := s.exporting(t, dir, "-o", "name"); names != filepath.Join(dir, "usage-2026-11-01.csv")+"\n"+filepath.Join(dir, "usage-2026-11-02.csv")+"\n"+filepath.Join(dir, "usage-2026-11-03.csv")+"\n" {
		t.Errorf("%s", names)
	}
	if code, _, stderr := s.exporting(t, dir, "--names"); code != exitConflict || !strings.Contains(stderr, "[export-other]") {
		t.Errorf("another export into the same folder: %d %s", code, stderr)
	}
	s.holds(t, dir)
}

// quick is a download that does not wait.
func (s *exportServer) quick(t *testing.T, dir string) error {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	d := download{cl: &client{base: srv.URL, http: srv.Client()}, err: &bytes.Buffer{}, dir: dir, export: s.export(false), pause: time.Nanosecond}
	for _, f := range d.export.Files {
		if err := d.fetch(t.Context(), f); err != nil {
			return err
		}
	}
	whole, err := d.check(t.Context())
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, manifest), whole)
}

// Cut off again and again, told to wait, begun by another process: it goes on.
func TestUsageExportGoesOn(t *testing.T) {
	s, dir := threeFiles(), t.TempDir()
	s.cut, s.busy = 999, 3
	if err := s.quick(t, dir); err != nil {
		t.Fatal(err)
	}
	s.holds(t, dir)
	if !slices.Contains(s.asked, "GET /e1~csv/files/usage-2026-11-01.csv bytes=999-") || !slices.Contains(s.asked, "GET /e1~csv/files/usage-2026-11-01.csv bytes=3996-") {
		t.Errorf("%q", s.asked)
	}
	for name, c := range map[string]struct {
		begun string // of the first file
		other bool   // the server has other bytes by now
	}{
		"some of it":         {begun: "id\none\n"},
		"all of it":          {begun: s.files["usage-2026-11-01.csv"]},
		"more than there":    {begun: s.files["usage-2026-11-01.csv"] + "more"},
		"of other bytes":     {begun: "id\ntwo\n", other: true},
		"wrong, and noticed": {begun: "id\ntwo\n"}, // by the manifest
	} {
		s, dir := threeFiles(), t.TempDir()
		s.changed = c.other
		if err := os.WriteFile(filepath.Join(dir, "usage-2026-11-01.csv"+partly), []byte(c.begun), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.quick(t, dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.holds(t, dir)
	}
	damaged := filepath.Join(dir, "usage-2026-11-03.csv")
	if err := os.WriteFile(damaged, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.quick(t, dir); err != nil {
		t.Error(err)
	}
	s.holds(t, dir)
}

func TestUsageExportFails(t *testing.T) {
	s, dir := threeFiles(), filepath.Join(t.TempDir(), "out")
	s.refuse = true
	code, out, stderr := s.exporting(t, dir)
	if _, err := os.Stat(dir); code != exitUsage || out != "" || !strings.Contains(stderr, "[validation-failed]") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d %s %s, folder: %v", code, out, stderr, err)
	}
	for _, name := range []string{"../evil", "a/b", ".hidden", exportState, manifest, ""} {
		s := &exportServer{files: map[string]string{name: "x"}}
		if code, _, _ := s.exporting(t, dir); code != exitFailed {
			t.Errorf("a file called %q: %d", name, code)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file called %q: something was written", name)
		}
	}
	s = threeFiles()
	s.busy = downloadTries
	var p *api.Problem
	if err := s.quick(t, t.TempDir()); !errors.As(err, &p) || p.Code != "exports-limit-reached" {
		t.Errorf("busy for ever: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := download{pause: time.Hour, err: &bytes.Buffer{}}
	if err := d.patiently(ctx, func() error { return errNothing }); !errors.Is(err, errNothing) && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUsageTable(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	alice, others := "alice", ""
	all := api.Usage{SealedUntil: &at, Items: []api.UsageItem{
		{Instance: "i-a", Name: "orders", Start: at, User: &alice, Sealed: true, Meters: map[string]string{"produce_bytes": "123456789012345678901"}},
		{Instance: "i-b", Start: at, User: &others, Meters: map[string]string{"produce_bytes": "4"}},
	}}
	var out bytes.Buffer
	c := usageGetCmd{GroupBy: "user", Meters: []string{"produce_bytes"}}
	if err := c.print(&env{out: &out}, all); err != nil {
		t.Fatal(err)
	}
	want := `INSTANCE  NAME    USER      FROM           PRODUCE BYTES          STATE
i-a       orders  alice     2026-11-22T00  123456789012345678901  sealed
i-b       -       (others)  2026-11-22T00  4                      open

sealed until 2026-11-22T00:00:00Z; times are UTC
open: more is being counted, and shown up to 2 s late
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
