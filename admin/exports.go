package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"weir/admin/api"
	"weir/billing/export"
	"weir/metering"
)

const (
	// exportStall is how long a client may take nothing of a file before it is cut off;
	// it can go on where it was. Half a megabyte fits into what is on its way.
	exportStall = time.Minute
	// exportPiece is how much must be taken within that.
	exportPiece = 64 << 10
)

func (s *server) exportRoutes(a huma.API) {
	route(a, "create-export", exportsWrite, http.MethodPost, "/v1/exports", http.StatusCreated, s.createExport)
	route(a, "get-export", exportsWrite, http.MethodGet, "/v1/exports/{export}", http.StatusOK, s.getExport)
	route(a, "get-export-file", exportsWrite, http.MethodGet, "/v1/exports/{export}/files/{file}", http.StatusOK, s.getExportFile)
}

type createExportInput struct{ Body api.CreateExport }

type exportOutput struct {
	Location string `header:"Location"`
	Body     api.Export
}

// createExport checks what is asked for, and stores nothing: the id is the question.
func (s *server) createExport(ctx context.Context, in *createExportInput) (*exportOutput, error) {
	spec := export.Spec{Format: export.Format(in.Body.Format), Names: in.Body.Names}
	var mistakes []api.FieldError
	spec.From = timeOf(&mistakes, "body.from", in.Body.From)
	spec.To = timeOf(&mistakes, "body.to", in.Body.To)
	if in.Body.AsOf != nil {
		spec.AsOf = *in.Body.AsOf
	}
	if len(mistakes) > 0 {
		return nil, invalid(mistakes...)
	}
	if err := s.metered(); err != nil {
		return nil, err
	}
	var err error
	if spec.Tenant, err = s.payer(ctx, "body.tenant", in.Body.Tenant); err != nil {
		return nil, err
	}
	if spec.Names && !callerOf(ctx).rights.allow(usageNames) {
		return nil, refused(usageNames)
	}
	if spec.Instance, err = s.used(ctx, spec.Tenant, in.Body.Instance); err != nil {
		return nil, err
	}
	if spec, err = s.cfg.Exports.Plan(ctx, spec); err != nil {
		return nil, s.unplanned(ctx, err)
	}
	return &exportOutput{Location: "/v1/exports/" + spec.ID(), Body: viewExport(spec)}, nil
}

// unplanned is the failure of Plan.
func (s *server) unplanned(ctx context.Context, err error) error {
	var m *export.Mistake
	if errors.As(err, &m) {
		return invalid(api.FieldError{Location: "body." + m.Field, Message: m.Message})
	}
	return s.unavailable(ctx, err)
}

// ExportPath is exported for the same reason as ListInput.
type ExportPath struct {
	Export string `path:"export" maxLength:"200" doc:"Id of the export."`
}

// exportOf finds the export of an id that the caller may see.
func (s *server) exportOf(ctx context.Context, id string) (export.Spec, error) {
	notFound := problem(codeExportNotFound, "There is no export %.200q.", id)
	spec, err := export.ParseID(id)
	if err != nil {
		return spec, notFound
	}
	if err := s.metered(); err != nil {
		return spec, err
	}
	c := callerOf(ctx)
	if !c.rights.everyTenant && (spec.Tenant == "" || spec.Tenant != c.claims.Tenant) {
		return spec, notFound
	}
	if spec.Names && !c.rights.allow(usageNames) {
		return spec, refused(usageNames)
	}
	var m *export.Mistake
	if spec, err = s.cfg.Exports.Plan(ctx, spec); errors.As(err, &m) {
		notFound.Detail = fmt.Sprintf("There is no such export any more, or yet: %s.", m.Message)
		return spec, notFound
	} else if err != nil {
		return spec, s.unavailable(ctx, err)
	}
	return spec, nil
}

// place takes one of the places of running exports.
func (s *server) place(ctx context.Context) (end func(), err error) {
	c := callerOf(ctx)
	who := c.claims.Tenant
	if c.rights.everyTenant {
		who = ""
	}
	if end, err = s.cfg.Exports.Begin(who); err != nil {
		c.w.Header().Set("Retry-After", "5")
		return nil, problem(codeExportsBusy, "As many exports are being read as may be at a time.")
	}
	return end, nil
}

// getExport is the manifest. Of files that nobody has read lately on this gateway it
// is worked out now, which takes as long as reading them.
func (s *server) getExport(ctx context.Context, in *ExportPath) (*exportOutput, error) {
	spec, err := s.exportOf(ctx, in.Export)
	if err != nil {
		return nil, err
	}
	end, err := s.place(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c := callerOf(ctx)
	c.unhurried()
	out := &exportOutput{Body: viewExport(spec)}
	for i, f := range spec.Files() {
		made, err := s.cfg.Exports.Made(ctx, spec, f)
		if err != nil {
			return nil, s.unavailable(ctx, err)
		}
		v := &out.Body.Files[i]
		v.Rows, v.Bytes, v.SHA256, v.Meters, v.Costs = &made.Rows, &made.Bytes, made.SHA256, made.Sums, made.Costs
	}
	return out, c.hurried(exportStall)
}

type exportFileInput struct {
	ExportPath
	File    string `path:"file" maxLength:"64"`
	Range   string `header:"Range" maxLength:"64" doc:"bytes=N- for what comes from there on; any other is not looked at."`
	IfRange string `header:"If-Range" maxLength:"128" doc:"ETag of the file; of another one it is answered whole."`
}

// getExportFile makes a file as it is read.
func (s *server) getExportFile(ctx context.Context, in *exportFileInput) (*huma.StreamResponse, error) {
	spec, err := s.exportOf(ctx, in.Export)
	if err != nil {
		return nil, err
	}
	f, ok := spec.File(in.File)
	if !ok {
		return nil, problem(codeExportNotFound, "The export has no file %.64q.", in.File)
	}
	end, err := s.place(ctx)
	if err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	c.unhurried()
	from := rangeOf(in, f)
	made, known := export.Made{}, false
	if from > 0 { // what is left can only be said of a file whose size is known
		if made, err = s.cfg.Exports.Made(ctx, spec, f); err != nil {
			end()
			return nil, s.unavailable(ctx, err)
		}
		known = true
	}
	if known && from >= made.Bytes {
		end()
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", made.Bytes))
		return nil, problem(codeRange, "File %s has %d bytes.", f.Name, made.Bytes)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer end()
		_, w := humago.Unwrap(hc)
		h := w.Header()
		h.Set("Content-Type", spec.Format.ContentType())
		h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
		h.Set("ETag", quoted(f.ETag))
		h.Set("Accept-Ranges", "bytes")
		status := http.StatusOK
		if known {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, made.Bytes-1, made.Bytes))
			h.Set("Content-Length", strconv.FormatInt(made.Bytes-from, 10))
			status = http.StatusPartialContent
		}
		w.WriteHeader(status)
		if _, err := s.cfg.Exports.Write(ctx, spec, f, &patient{w: w, c: c}, from); err != nil {
			s.cfg.Log.Warn("export was cut off", "request", c.id, "export", in.Export, "file", f.Name, "err", err)
			panic(http.ErrAbortHandler) // else it would look whole
		}
	}}, nil
}

// rangeOf is from where on the file is wanted; 0: whole.
func rangeOf(in *exportFileInput, f export.File) int64 {
	text, ok := strings.CutPrefix(in.Range, "bytes=")
	text, open := strings.CutSuffix(text, "-")
	if !ok || !open || in.IfRange != "" && in.IfRange != quoted(f.ETag) {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return int64(n)
}

// patient is a client that may take as long as it likes, as long as it takes something.
type patient struct {
	w    http.ResponseWriter
	c    *caller
	left int // until the clock is set anew
}

func (p *patient) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if p.left == 0 {
			if err := p.c.hurried(exportStall); err != nil {
				return n, err
			}
			p.left = exportPiece
		}
		m, err := p.w.Write(b[n:min(len(b), n+p.left)])
		n, p.left = n+m, p.left-m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// viewExport is an export without what only making it tells.
func viewExport(s export.Spec) api.Export {
	v := api.Export{
		ID: s.ID(), Format: string(s.Format), Tenant: string(s.Tenant), Instance: string(s.Instance),
		From: s.From.Begin(), To: s.To.Begin(), AsOf: s.AsOf, Names: s.Names, Files: []api.ExportFile{},
	}
	for _, f := range s.Files() {
		v.Files = append(v.Files, api.ExportFile{Name: f.Name, From: f.From.Begin(), To: f.To.Begin(), ETag: quoted(f.ETag)})
	}
	return v
}

// timeOf reads an hour that a caller wrote.
func timeOf(mistakes *[]api.FieldError, place, text string) metering.Hour {
	h, err := export.ParseTime(text)
	if err != nil {
		*mistakes = append(*mistakes, api.FieldError{Location: place, Message: err.Error()})
	}
	return h
}

// metered says that this gateway meters nothing.
func (s *server) metered() error {
	if s.cfg.Metered == nil || s.cfg.Exports == nil {
		return problem(codeNotMetered, "This gateway does not meter what is used.")
	}
	return nil
}
