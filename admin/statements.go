package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

func (s *server) statementRoutes(a huma.API) {
	const path = "/v1/statements/{statement}"
	route(a, "list-statements", statementsRead, http.MethodGet, "/v1/statements", http.StatusOK, s.listStatements)
	route(a, "get-statement", statementsRead, http.MethodGet, path, http.StatusOK, s.getStatement)
	route(a, "get-statement-csv", statementsRead, http.MethodGet, path+"/csv", http.StatusOK, s.getStatementCSV)
	route(a, "finalize-statement", statementsWrite, http.MethodPost, path+"/finalize", http.StatusOK, s.finalizeStatement)
}

// csvPath is where a path that ends like a file's name is served: a pattern of the
// mux cannot say that.
func csvPath(path string) string {
	if name, ok := strings.CutSuffix(path, ".csv"); ok && strings.HasPrefix(name, "/v1/statements/") {
		return name + "/csv"
	}
	return path
}

type listStatementsInput struct {
	ListInput
	Tenant string `query:"tenant" maxLength:"32" doc:"Whose; the token's if absent."`
	Month  string `query:"month" maxLength:"40" doc:"Only that one." example:"2026-11"`
}

type statementsOutput struct{ Body api.Statements }

// listStatements has all months that are final, this one, and the one before.
func (s *server) listStatements(ctx context.Context, in *listStatementsInput) (*statementsOutput, error) {
	name := cmp.Or(in.Tenant, string(callerOf(ctx).claims.Tenant))
	if name == "" {
		return nil, invalid(api.FieldError{Location: "query.tenant", Message: "the token names no tenant, so the request must"})
	}
	t, err := s.tenant(ctx, name)
	if err != nil {
		return nil, err
	}
	heads, err := s.statementHeads(ctx, t, in.Month)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(heads, func(a, b api.StatementHead) int {
		return cmp.Or(cmp.Compare(b.Month, a.Month), cmp.Compare(a.Currency, b.Currency))
	})
	if in.After != "" {
		at := slices.IndexFunc(heads, func(h api.StatementHead) bool { return h.ID == in.After })
		heads = heads[at+1:]
	}
	out := &statementsOutput{Body: api.Statements{Items: heads[:min(in.Limit, len(heads))]}}
	if len(heads) > in.Limit {
		out.Body.Next = &heads[in.Limit-1].ID
	}
	return out, nil
}

// statementHeads are those of a month, or of all.
func (s *server) statementHeads(ctx context.Context, t tenancy.TenantID, month string) (heads []api.StatementHead, err error) {
	heads = []api.StatementHead{}
	now := billing.MonthOf(s.cfg.Now())
	months := []billing.Month{now, now - 1}
	if month != "" {
		m, err := billing.ParseMonth(month)
		if err != nil {
			return nil, invalid(api.FieldError{Location: "query.month", Message: err.Error()})
		}
		if m > now {
			return nil, invalid(api.FieldError{Location: "query.month", Message: month + " has not begun"})
		}
		months = []billing.Month{m}
	} else if heads, months, err = s.finalHeads(ctx, t, months); err != nil {
		return nil, err
	}
	for _, m := range months {
		all, err := s.cfg.Billing.Biller.Statements(ctx, t, m)
		if err != nil {
			return nil, s.unavailable(ctx, err)
		}
		for i := range all {
			heads = append(heads, viewStatementHead(&all[i]))
		}
	}
	return heads, nil
}

// finalHeads are those of final months, and the months of those asked for that are not.
func (s *server) finalHeads(ctx context.Context, t tenancy.TenantID, months []billing.Month) ([]api.StatementHead, []billing.Month, error) {
	heads := []api.StatementHead{}
	billed, err := s.cfg.Billing.Store.Billed(ctx, t)
	if err != nil {
		return nil, nil, s.unavailable(ctx, err)
	}
	for m, totals := range billed {
		for currency, total := range totals {
			heads = append(heads, api.StatementHead{
				ID: billing.StatementID(t, m, currency), Tenant: string(t), Month: m.String(), Currency: currency,
				State: string(billing.StateFinal), Total: total,
			})
		}
	}
	return heads, slices.DeleteFunc(months, func(m billing.Month) bool { _, final := billed[m]; return final }), nil
}

// StatementPath is exported for the same reason as ListInput.
type StatementPath struct {
	Statement string `path:"statement" maxLength:"64" doc:"As t-acme-2026-11-EUR; without the currency where there is only one."`
}

type statementOutput struct{ Body api.Statement }

func (s *server) getStatement(ctx context.Context, in *StatementPath) (*statementOutput, error) {
	st, err := s.statement(ctx, in.Statement)
	if err != nil {
		return nil, err
	}
	return &statementOutput{Body: viewStatement(st)}, nil
}

// statement finds one that the caller may see.
func (s *server) statement(ctx context.Context, id string) (*billing.Statement, error) {
	t, m, currency, err := s.statementID(ctx, id)
	if err != nil {
		return nil, err
	}
	all, err := s.cfg.Billing.Biller.Statements(ctx, t, m)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	return pick(all, id, currency)
}

// statementID takes apart one that can be the caller's.
func (s *server) statementID(ctx context.Context, id string) (tenancy.TenantID, billing.Month, string, error) {
	t, m, currency, err := billing.ParseStatementID(id)
	if err != nil {
		return "", 0, "", problem(codeNoStatement, "%.80q is no statement id: they look like t-acme-2026-11-EUR.", id)
	}
	if !callerOf(ctx).owns(t) || m > billing.MonthOf(s.cfg.Now()) {
		return "", 0, "", noStatement(id)
	}
	return t, m, currency, nil
}

func pick(all []billing.Statement, id, currency string) (*billing.Statement, error) {
	for i := range all {
		if all[i].Currency == currency || currency == "" && len(all) == 1 {
			return &all[i], nil
		}
	}
	if currency == "" && len(all) > 1 {
		p := noStatement(id)
		p.Detail = "There are several, one for each currency; say which one: " + all[0].ID + "."
		return nil, p
	}
	return nil, noStatement(id)
}

func noStatement(id string) *api.Problem {
	return problem(codeNoStatement, "There is no statement %.80q: nothing that costs was used, or hours are not sealed yet.", id)
}

type statementCSVOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte `contentType:"text/csv"`
}

func (s *server) getStatementCSV(ctx context.Context, in *StatementPath) (*statementCSVOutput, error) {
	st, err := s.statement(ctx, in.Statement)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := st.WriteCSV(&file); err != nil {
		return nil, err
	}
	return &statementCSVOutput{
		ContentType: "text/csv; charset=utf-8", Disposition: "attachment; filename=" + strconv.Quote(st.ID+".csv"), Body: file.Bytes(),
	}, nil
}

// finalizeStatement makes all of the tenant's month final, whatever the currency; again
// it changes nothing.
func (s *server) finalizeStatement(ctx context.Context, in *StatementPath) (*statementOutput, error) {
	t, m, currency, err := s.statementID(ctx, in.Statement)
	if err != nil {
		return nil, err
	}
	was, err := s.cfg.Billing.Biller.Statements(ctx, t, m)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	if _, err := pick(was, in.Statement, currency); err != nil {
		return nil, err // a misspelt tenant's month does not become final
	}
	all, err := s.cfg.Billing.Biller.Finalize(ctx, t, m)
	if errors.Is(err, billing.ErrOpen) {
		return nil, problem(codeStatementOpen, "%s cannot be final yet: the month is not over, or not all of its hours are sealed.", m)
	} else if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	st, err := pick(all, in.Statement, currency)
	if err != nil {
		return nil, err
	}
	return &statementOutput{Body: viewStatement(st)}, nil
}

func viewStatementHead(st *billing.Statement) api.StatementHead {
	h := api.StatementHead{
		ID: st.ID, Tenant: string(st.Tenant), Month: st.Month.String(), Currency: st.Currency, State: string(st.State),
		Total: st.Total, Forecast: st.Forecast, SHA256: st.SHA256,
	}
	if !st.Through.IsZero() {
		h.Through = &st.Through
	}
	if !st.Finalized.IsZero() {
		h.FinalizedAt = &st.Finalized
	}
	return h
}

func viewStatement(st *billing.Statement) api.Statement {
	view := api.Statement{StatementHead: viewStatementHead(st), Lines: make([]api.StatementLine, 0, len(st.Lines))}
	for _, l := range st.Lines {
		view.Lines = append(view.Lines, api.StatementLine{
			Instance: string(l.Instance), Plan: l.Plan, Kind: string(l.Kind), Correction: l.Correction, UsedIn: l.UsedIn.String(),
			Meter: l.Meter, Tier: l.Tier, Used: l.Used, Quantity: l.Quantity, Unit: l.Unit, UnitPrice: l.UnitPrice, Amount: l.Amount,
		})
	}
	return view
}
