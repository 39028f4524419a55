package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
	"weir/billing/export"
	"weir/metering"
	"weir/tenancy"
)

// meter lets the fixture meter: nothing was used, and all hours are sealed that may be.
func (f *fixture) meter(t testing.TB) {
	t.Helper()
	m := &fakeMetered{sealed: metering.HourOf(f.cfg.Now()) - 1}
	f.cfg.Metered = m
	f.cfg.Exports = export.New(export.Config{Records: m, Retention: 9600 * time.Hour, Now: f.cfg.Now})
}

// export is one of a tenant, of a sealed hour.
func (f *fixture) export(tenant tenancy.TenantID) export.Spec {
	h := metering.HourOf(f.cfg.Now()) - 3
	return export.Spec{Tenant: tenant, Format: export.CSV, From: h, To: h + 1, AsOf: (h + 1).Begin().Add(metering.SealAfter)}
}

const twoDays = `{"format":"csv","from":"2026-11-21","to":"2026-11-23"}`

// made posts an export.
func (f *fixture) madeExport(token, body string) api.Export {
	f.t.Helper()
	a := f.do(token, http.MethodPost, "/v1/exports", body)
	if a.status != http.StatusCreated {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	e := decodeAs[api.Export](f.t, a)
	if a.header.Get("Location") != "/v1/exports/"+e.ID {
		f.t.Errorf("Location %s", a.header.Get("Location"))
	}
	return e
}

// What the manifest says is what the files are, in one piece and from any byte on.
func TestExport(t *testing.T) {
	f, _ := metered(t)
	token := f.token("t-acme", "billing-reader")
	e := f.madeExport(token, twoDays)
	if len(e.Files) != 2 || e.Files[0].SHA256 != "" || e.Tenant != "t-acme" || e.Files[1].Name != "usage-2026-11-22.csv" {
		t.Fatalf("%+v", e)
	}
	manifest := decodeAs[api.Export](t, f.do(token, http.MethodGet, "/v1/exports/"+e.ID, nil))
	for n, file := range manifest.Files {
		path := "/v1/exports/" + e.ID + "/files/" + file.Name
		a := f.do(token, http.MethodGet, path, nil)
		sum := sha256.Sum256([]byte(a.body))
		if a.status != http.StatusOK || file.SHA256 != hex.EncodeToString(sum[:]) || *file.Bytes != int64(len(a.body)) || a.header.Get("ETag") != file.ETag || file.ETag != e.Files[n].ETag {
			t.Errorf("%d %v, manifest %+v", a.status, a.header, file)
		}
		if *file.Rows != int64(strings.Count(a.body, "\n")-1) || strings.Contains(a.body, "t-other") || strings.Contains(a.body, "alice") {
			t.Errorf("%s", a.body)
		}
		for _, c := range []struct {
			name, ask, of string
			status        int
			want          string
		}{
			{"from a byte on", "bytes=100-", file.ETag, 206, a.body[100:]},
			{"without If-Range", "bytes=100-", "", 206, a.body[100:]},
			{"of other bytes", "bytes=100-", `"else"`, 200, a.body},
			{"from the first on", "bytes=0-", file.ETag, 200, a.body},
			{"what is not looked at", "bytes=1-2", file.ETag, 200, a.body},
			{"nonsense", "lines=1-", file.ETag, 200, a.body},
		} {
			header := []string{"Range", c.ask}
			if c.of != "" {
				header = append(header, "If-Range", c.of)
			}
			f.restart() // the manifest may come from another gateway
			if got := f.do(token, http.MethodGet, path, nil, header...); got.status != c.status || got.body != c.want {
				t.Errorf("%s: %d, %d bytes, want %d, %d", c.name, got.status, len(got.body), c.status, len(c.want))
			}
		}
		if beyond := f.do(token, http.MethodGet, path, nil, "Range", "bytes=1000000-"); beyond.problem(t).Code != "range-not-satisfiable" || !strings.HasPrefix(beyond.header.Get("Content-Range"), "bytes */") {
			t.Errorf("%d %v %s", beyond.status, beyond.header, beyond.body)
		}
	}
	if got := manifest.Files[1].Meters["produce_bytes"]; got != "2418" {
		t.Errorf("sum of produce_bytes is %s", got)
	}
}

// restart forgets what the exporter remembers of files.
func (f *fixture) restart() {
	f.t.Helper()
	f.cfg.Exports = export.New(export.Config{Records: f.cfg.Metered, Retention: 9600 * time.Hour, Now: f.cfg.Now})
	h, err := New(f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.handler = h
}

// Names of users and topics only for who may see them, and only when asked for.
func TestExportNames(t *testing.T) {
	f, _ := metered(t)
	body := strings.Replace(twoDays, "{", `{"names":true,`, 1)
	if p := f.do(f.token("t-acme", "billing-reader"), http.MethodPost, "/v1/exports", body).problem(t); p.Code != "not-allowed" {
		t.Errorf("%+v", p)
	}
	admin := f.token("t-acme", "tenant-admin")
	e := f.madeExport(admin, body)
	path := "/v1/exports/" + e.ID + "/files/" + e.Files[1].Name
	if a := f.do(admin, http.MethodGet, path, nil); !strings.Contains(a.body, "user=alice") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{path, "/v1/exports/" + e.ID} {
		if p := f.do(f.token("t-acme", "billing-reader"), http.MethodGet, path, nil).problem(t); p.Code != "not-allowed" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestExportRefused(t *testing.T) {
	f, m := metered(t)
	token := f.token("t-acme", "billing-reader")
	for name, c := range map[string]struct {
		body, code, says string
	}{
		"unknown format":   {`{"format":"xml","from":"2026-11-21","to":"2026-11-23"}`, "validation-failed", "one of"},
		"reversed":         {`{"format":"csv","from":"2026-11-23","to":"2026-11-21"}`, "validation-failed", "reversed"},
		"in the future":    {`{"format":"csv","from":"2026-11-23","to":"2026-11-25"}`, "validation-failed", "future"},
		"not sealed":       {`{"format":"csv","from":"2026-11-23T07","to":"2026-11-23T09"}`, "validation-failed", "future"},
		"over the limit":   {`{"format":"csv","from":"2020-11-23","to":"2026-11-22"}`, "validation-failed", "older"},
		"no time":          {`{"format":"csv","from":"yesterday","to":"2026-11-22"}`, "validation-failed", "2026-11-22T19"},
		"no prices":        {`{"format":"focus","from":"2026-11-21","to":"2026-11-22"}`, "validation-failed", "no prices"},
		"another's":        {`{"format":"csv","tenant":"t-other","from":"2026-11-21","to":"2026-11-22"}`, "tenant-not-found", ""},
		"another's one":    {`{"format":"csv","instance":"theirs","from":"2026-11-21","to":"2026-11-22"}`, "instance-not-found", ""},
		"as of too early":  {`{"format":"csv","as_of":"2026-11-20T00:00:00Z","from":"2026-11-21","to":"2026-11-22"}`, "validation-failed", "before"},
		"something else":   {`{"format":"csv","from":"2026-11-21","to":"2026-11-22","colour":"red"}`, "validation-failed", "unexpected"},
		"without a period": {`{"format":"csv"}`, "validation-failed", "required"},
	} {
		a := f.do(token, http.MethodPost, "/v1/exports", c.body)
		if p := a.problem(t); p.Code != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	theirs := f.madeExport(f.token("t-other", "tenant-admin"), twoDays)
	all := f.madeExport(f.token("", "operator"), twoDays)
	old := strings.Replace(f.madeExport(token, twoDays).ID, "2026-11-21", "2020-11-21", 1)
	for _, path := range []string{theirs.ID, theirs.ID + "/files/" + theirs.Files[0].Name, all.ID, "nonsense", old} {
		if p := f.do(token, http.MethodGet, "/v1/exports/"+path, nil).problem(t); p.Code != "export-not-found" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if p := f.do(token, http.MethodGet, "/v1/exports/"+f.madeExport(token, twoDays).ID+"/files/passwd", nil).problem(t); p.Code != "export-not-found" {
		t.Errorf("%+v", p)
	}
	m.err = errors.New("redis is away")
	if p := f.do(token, http.MethodPost, "/v1/exports", twoDays).problem(t); p.Code != "store-unavailable" {
		t.Errorf("%+v", p)
	}
}

// As many as may run at a time, and one more: that is told to come back.
func TestExportsBusy(t *testing.T) {
	f, _ := metered(t)
	token := f.token("t-acme", "billing-reader")
	e := f.madeExport(token, twoDays)
	var ends []func()
	for {
		end, err := f.cfg.Exports.Begin(tenancy.TenantID("t-" + strings.Repeat("x", 1+len(ends))))
		if err != nil {
			break
		}
		ends = append(ends, end)
	}
	for _, path := range []string{"/v1/exports/" + e.ID, "/v1/exports/" + e.ID + "/files/" + e.Files[0].Name} {
		a := f.do(token, http.MethodGet, path, nil)
		if p := a.problem(t); a.status != http.StatusTooManyRequests || p.Code != "exports-limit-reached" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	}
	for _, end := range ends {
		end()
	}
	for range 10 { // each gives its place back
		if a := f.do(token, http.MethodGet, "/v1/exports/"+e.ID+"/files/"+e.Files[0].Name, nil); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
}

// Behind the server's own time limits a file may take longer than these, and one that
// cannot be finished does not look whole.
func TestExportOverHTTP(t *testing.T) {
	f, m := metered(t)
	token := f.token("t-acme", "billing-reader")
	e := f.madeExport(token, twoDays)
	for n := range 20_000 {
		m.add(t, "t-acme", "orders", "2026-11-22T05", "standard", "", int64(n))
	}
	f.restart()
	path := "/v1/exports/" + e.ID + "/files/" + e.Files[1].Name
	whole := f.do(token, http.MethodGet, path, nil).body
	f.restart() // so that the manifest is made, too
	srv := httptest.NewUnstartedServer(f.handler)
	const limit = 50 * time.Millisecond
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = limit, limit
	srv.Start()
	defer srv.Close()
	get := func(path string) (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := srv.Client().Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	m.each = func(n int) error {
		if n == 15_000 {
			time.Sleep(3 * limit) // the file takes so long, at least
		}
		return nil
	}
	if got, err := get("/v1/exports/" + e.ID); err != nil || !strings.Contains(got, `"sha256"`) {
		t.Errorf("manifest: %v %s", err, got)
	}
	if got, err := get(path); err != nil || got != whole {
		t.Errorf("%d bytes, want %d: %v", len(got), len(whole), err)
	}
	m.each = func(n int) error {
		if n == 15_000 {
			return errors.New("redis is lost")
		}
		return nil
	}
	if got, err := get(path); err == nil || len(got) == 0 {
		t.Errorf("%d bytes of %d look whole", len(got), len(whole))
	}
	if !strings.Contains(f.log.String(), "redis is lost") || strings.Contains(f.log.String(), "panicked") {
		t.Error("the log does not say why the file was cut off, or calls it a panic")
	}
}
