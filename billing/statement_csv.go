package billing

import (
	"encoding/csv"
	"io"
	"strconv"
)

// statementColumns are those of a statement's CSV.
func statementColumns() []string {
	return []string{
		"statement", "tenant", "month", "currency", "instance", "plan", "kind", "correction", "used_in",
		"meter", "tier", "used", "quantity", "unit", "unit_price", "amount",
	}
}

// WriteCSV writes the lines, after a line of column names (RFC 4180, but lines end
// with LF). The same statement gives the same bytes: they are what SHA256 is of. The
// amounts add up to the total.
func (st *Statement) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(statementColumns()) // out.Error has it
	for i := range st.Lines {
		l := &st.Lines[i]
		_ = out.Write([]string{
			guarded(st.ID), guarded(string(st.Tenant)), st.Month.String(), st.Currency, guarded(string(l.Instance)), guarded(l.Plan),
			string(l.Kind), strconv.FormatBool(l.Correction), l.UsedIn.String(),
			l.Meter, strconv.Itoa(l.Tier), l.Used, l.Quantity, guarded(l.Unit), l.UnitPrice, l.Amount,
		})
	}
	out.Flush()
	return out.Error()
}

// guarded keeps a spreadsheet from taking a text for a formula (OWASP, CSV injection).
// Numbers are never guarded: a credit begins with a minus.
func guarded(text string) string {
	if text == "" {
		return text
	}
	switch text[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n', '|', '%':
		return "'" + text
	}
	return text
}
