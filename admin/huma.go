package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"weir/admin/api"
	"weir/tenancy"
)

// maxBodyBytes is how much of a request body is read (ux.md 2.3).
const maxBodyBytes = 1 << 20

// register adds the routes under /v1 to mux and returns the OpenAPI document.
func (s *server) register(mux *http.ServeMux) ([]byte, error) {
	cfg := huma.DefaultConfig("Weir", s.cfg.Version)
	cfg.Info.Description = "Management of instances, their users and ACLs. Every error is an RFC 9457 problem with an immutable code."
	cfg.DocsPath = ""     // it would load scripts from a CDN
	cfg.SchemasPath = ""  // the schemas are in /openapi.json
	cfg.OpenAPIPath = ""  // served by us, without a token
	cfg.CreateHooks = nil // no $schema members in answers
	// Answers may grow; request bodies are closed by a tag of their own.
	cfg.AllowAdditionalPropertiesByDefault = true
	cfg.Transformers = []huma.Transformer{asProblem}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	cfg.Security = []map[string][]string{{"token": {}}}
	a := humago.New(mux, cfg)

	route(a, "create-instance", instancesWrite, http.MethodPost, "/v1/instances", http.StatusCreated, s.createInstance)
	route(a, "list-instances", instancesRead, http.MethodGet, "/v1/instances", http.StatusOK, s.listInstances)
	route(a, "get-instance", instancesRead, http.MethodGet, "/v1/instances/{instance}", http.StatusOK, s.getInstance)
	route(a, "delete-instance", instancesWrite, http.MethodDelete, "/v1/instances/{instance}", http.StatusAccepted, s.deleteInstance)
	route(a, "rotate-identity", identitiesWrite, http.MethodPost, "/v1/instances/{instance}/identity/rotate", http.StatusOK, s.rotateIdentity)
	route(a, "create-user", usersWrite, http.MethodPost, "/v1/instances/{instance}/users", http.StatusCreated, s.createUser)
	route(a, "list-users", usersRead, http.MethodGet, "/v1/instances/{instance}/users", http.StatusOK, s.listUsers)
	route(a, "get-user", usersRead, http.MethodGet, "/v1/instances/{instance}/users/{user}", http.StatusOK, s.getUser)
	route(a, "delete-user", usersWrite, http.MethodDelete, "/v1/instances/{instance}/users/{user}", http.StatusNoContent, s.deleteUser)
	route(a, "create-aliases", aliasesWrite, http.MethodPost, "/v1/instances/{instance}/aliases", http.StatusCreated, s.createAliases)
	route(a, "list-aliases", aliasesRead, http.MethodGet, "/v1/instances/{instance}/aliases", http.StatusOK, s.listAliases)
	route(a, "delete-alias", aliasesWrite, http.MethodDelete, "/v1/instances/{instance}/aliases/{kind}/{name}", http.StatusNoContent, s.deleteAlias)
	route(a, "list-hosts", accessRead, http.MethodGet, "/v1/instances/{instance}/hosts", http.StatusOK, s.listHosts)
	route(a, "set-host", accessWrite, http.MethodPut, "/v1/instances/{instance}/hosts/{name}", http.StatusOK, s.setHost)
	route(a, "delete-host", accessWrite, http.MethodDelete, "/v1/instances/{instance}/hosts/{name}", http.StatusNoContent, s.deleteHost)
	route(a, "create-acls", aclsWrite, http.MethodPost, "/v1/instances/{instance}/acls", http.StatusOK, s.createACLs)
	route(a, "list-acls", aclsRead, http.MethodGet, "/v1/instances/{instance}/acls", http.StatusOK, s.listACLs)
	route(a, "delete-acls", aclsWrite, http.MethodDelete, "/v1/instances/{instance}/acls", http.StatusOK, s.deleteACLs)
	s.networkRoutes(a)
	s.clientCARoutes(a)
	s.issuerRoutes(a)
	s.throttleRoutes(a)
	route(a, "list-events", eventsRead, http.MethodGet, "/v1/events", http.StatusOK, s.listEvents)
	s.credentialRoutes(a)
	s.quotaRoutes(a)
	s.usageRoutes(a)
	s.usageChainRoutes(a)
	s.exportRoutes(a)
	s.billingRoutes(a)

	schemas := a.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own problem, which asProblem replaces
	delete(schemas, "ErrorDetail")
	return json.MarshalIndent(a.OpenAPI(), "", "  ")
}

// route registers one operation. The scope stands here once: it is checked
// before the handler, and documented.
func route[I, O any](a huma.API, id string, sc scope, method, path string, status int, h func(context.Context, *I) (*O, error)) {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	failed := &huma.Response{
		Description: "Refused or failed; code says why.",
		Content:     map[string]*huma.MediaType{api.ProblemContentType: {Schema: schema}},
	}
	huma.Register(a, huma.Operation{
		OperationID:   id,
		Method:        method,
		Path:          path,
		Summary:       strings.ToUpper(id[:1]) + strings.ReplaceAll(id[1:], "-", " "),
		Description:   fmt.Sprintf("Needs %s.", sc),
		DefaultStatus: status,
		MaxBodyBytes:  maxBodyBytes + 1, // huma refuses a body of exactly its limit
		Responses:     map[string]*huma.Response{"default": failed},
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			if !callerOf(ctx.Context()).rights.allow(sc) {
				r, w := humago.Unwrap(ctx)
				writeProblem(w, callerOf(r.Context()).id, refused(sc))
				return
			}
			if p := strangeQuery(ctx); p != nil {
				r, w := humago.Unwrap(ctx)
				writeProblem(w, callerOf(r.Context()).id, unchanged(ctx, p))
				return
			}
			next(ctx)
		}},
	}, h)
}

// asProblem turns huma's own errors into ours, without the values it echoes (a
// body with one unknown field comes back whole, password and all), and gives
// every problem the id of its request.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok {
		v = fromHuma(e)
	}
	if p, ok := v.(*api.Problem); ok {
		p.RequestID = callerOf(ctx.Context()).id
		return unchanged(ctx, p), nil
	}
	return v, nil
}

// unchanged says of a mistake in a request that would have changed something that it did
// not.
func unchanged(ctx huma.Context, p *api.Problem) *api.Problem {
	if p.Code == string(codeValidation) && ctx.Method() != http.MethodGet {
		p.Detail = strings.TrimSuffix(p.Detail, ".") + "; nothing was changed."
	}
	return p
}

// strangeQuery refuses parameters that an operation does not have, nil if there are
// none: the answer to a question with a misspelt one would be that to another question.
func strangeQuery(ctx huma.Context) *api.Problem {
	at := ctx.URL()
	asked, err := url.ParseQuery(at.RawQuery)
	if err != nil {
		return invalid(api.FieldError{Location: "query", Message: "cannot be read: want name=value&name=value, with other characters as %XX"})
	}
	var known []string
	for _, p := range ctx.Operation().Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	var mistakes []api.FieldError
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if slices.Contains(known, name) {
			continue
		}
		text := "there is no such parameter"
		switch meant := tenancy.DidYouMean(strings.ToLower(name), slices.Values(known)); {
		case meant != "":
			text += "; did you mean " + meant + "?"
		case len(known) > 0:
			text += "; there are " + strings.Join(known, ", ")
		}
		mistakes = append(mistakes, api.FieldError{Location: fmt.Sprintf("query.%.40s", name), Message: text})
	}
	if len(mistakes) == 0 {
		return nil
	}
	return invalid(mistakes...)
}

func fromHuma(e *huma.ErrorModel) *api.Problem {
	c := codeOfStatus(e.Status)
	if c == codeInternal {
		return problem(c, "Something went wrong here; the log has more.")
	}
	mistakes := mistakesOf(e)
	if c == codeValidation {
		return invalid(mistakes...)
	}
	p := problem(c, "The request cannot be read: %s.", e.Detail)
	switch {
	case c == codeMediaType:
		p.Detail = "The request's Content-Type must be application/json."
		p.Try = "curl -H 'Content-Type: application/json' ..."
	case e.Status == http.StatusBadRequest && len(mistakes) == 1 && mistakes[0].Location == "body":
		p.Detail = "The request's body is not JSON."
	}
	p.Status = e.Status
	p.Errors = mistakes
	return p
}

// mistakesOf keeps one mistake a place: the first, which the schema found. If
// the body as a whole is wrong, nothing is said about its fields.
func mistakesOf(e *huma.ErrorModel) []api.FieldError {
	var out []api.FieldError
	seen := map[string]bool{}
	for _, d := range e.Errors {
		if d == nil || seen[d.Location] || seen["body"] && strings.HasPrefix(d.Location, "body.") {
			continue
		}
		seen[d.Location] = true
		out = append(out, api.FieldError{Location: d.Location, Message: said(d)})
	}
	return out
}

// said is a message of the schema's. It repeats a value that is none of a few, or out of
// its range; no other: they may be passwords.
func said(d *huma.ErrorDetail) string {
	if few, ok := strings.CutPrefix(d.Message, "expected value to be one of "); ok {
		if text, ok := d.Value.(string); ok {
			return fmt.Sprintf("%.40q is none of %s", text, strings.Trim(few, `"`))
		}
	}
	if strings.HasPrefix(d.Message, "expected number ") {
		switch d.Value.(type) {
		case int, int32, int64, float32, float64:
			return fmt.Sprintf("%v: %s", d.Value, d.Message)
		}
	}
	return d.Message
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *createInstanceInput) Resolve(huma.Context) []error { return details(in.mistakes()) }

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *createUserInput) Resolve(huma.Context) []error { return details(in.mistakes()) }

func details(mistakes []api.FieldError) []error {
	var errs []error
	for _, m := range mistakes {
		errs = append(errs, &huma.ErrorDetail{Location: m.Location, Message: m.Message})
	}
	return errs
}
