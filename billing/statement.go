package billing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
	"weir/tenancy"
)

// State of a statement.
type State string

// The states.
const (
	StateOpen  State = "open"  // what was used so far, of hours that are sealed
	StateFinal State = "final" // never changes again
)

// Statement is what a tenant owes for a calendar month (UTC) in one currency. Numbers
// are decimals as texts, amounts with all digits of the currency. It is stored as it is.
type Statement struct {
	ID       string           `json:"id"` // StatementID's
	Tenant   tenancy.TenantID `json:"tenant"`
	Month    Month            `json:"month"`
	Currency string           `json:"currency"`
	State    State            `json:"state"`
	Lines    []StatementLine  `json:"lines"`
	Total    string           `json:"total"`
	// Through is up to where hours are in it.
	Through time.Time `json:"through"`
	// Forecast is what it will come to if the rest of the month is as the month so far;
	// "" once the month is over.
	Forecast string `json:"-"`
	// Finalized is when it became final, SHA256 that of its CSV, in hex; zero before.
	Finalized time.Time `json:"finalized,omitzero"`
	SHA256    string    `json:"sha256,omitempty"`
}

// StatementLine is what one meter of an instance on a plan costs at one price, or what
// a minimum adds.
type StatementLine struct {
	Instance tenancy.InstanceID `json:"instance"`
	Plan     string             `json:"plan"`
	Kind     Kind               `json:"kind"`
	// Correction: it was used in an earlier month, UsedIn, whose statement was final.
	Correction bool   `json:"correction,omitempty"`
	UsedIn     Month  `json:"used_in"`
	Meter      string `json:"meter,omitempty"` // "" of a minimum
	Tier       int    `json:"tier"`
	Used       string `json:"used,omitempty"` // the meter's own number
	Quantity   string `json:"quantity"`
	Unit       string `json:"unit"`
	UnitPrice  string `json:"unit_price"`
	Amount     string `json:"amount"`
}

// StatementID is the same for the same statement wherever it is shown: "t-acme-2026-11-EUR".
func StatementID(t tenancy.TenantID, m Month, currency string) string {
	return fmt.Sprintf("%s-%s-%s", t, m, currency)
}

// ParseStatementID takes an id apart. The currency may be left out, where there is
// only one: then it is "".
func ParseStatementID(id string) (t tenancy.TenantID, m Month, currency string, err error) {
	bad := fmt.Errorf("statement %.80q is not like t-acme-2026-11-EUR", id)
	rest := id
	if i := strings.LastIndexByte(rest, '-'); i >= 0 && CheckCurrency(rest[i+1:]) == nil {
		rest, currency = rest[:i], rest[i+1:]
	}
	at := len(rest) - len(monthForm)
	if at < 2 || rest[at-1] != '-' {
		return "", 0, "", bad
	}
	if m, err = ParseMonth(rest[at:]); err != nil {
		return "", 0, "", bad
	}
	if t, err = tenancy.ParseTenantID(rest[:at-1]); err != nil {
		return "", 0, "", bad
	}
	return t, m, currency, nil
}

// sheet adds up charges of one tenant's month in one currency.
type sheet struct {
	lines    map[lineKey]*lineSum
	total    apd.Decimal
	forecast apd.Decimal
}

// lineKey is what charges of a line have in common.
type lineKey struct {
	instance   tenancy.InstanceID
	plan       string
	correction bool
	usedIn     Month
	kind       Kind
	meter      metering.Meter
	tier       int
}

type lineSum struct {
	used            apd.BigInt
	quantity, cost  apd.Decimal
	unit, unitPrice string
}

func newSheet(currency string) *sheet {
	return &sheet{lines: map[lineKey]*lineSum{}, total: zero(currency), forecast: zero(currency)}
}

func (s *sheet) add(c Charge) {
	key := lineKey{c.Instance, c.Plan, c.Correction, c.UsedIn, c.Kind, c.Meter, c.Tier}
	l := s.lines[key]
	if l == nil {
		l = &lineSum{cost: zero(c.Currency), unit: c.Unit, unitPrice: Text(c.UnitPrice)}
		s.lines[key] = l
	}
	l.used.Add(&l.used, &c.Used)
	l.quantity, l.cost = plus(l.quantity, c.Quantity), plus(l.cost, c.Cost)
	if c.Kind == KindMinimum { // one, at the price that it comes to
		l.quantity, l.unitPrice = *apd.New(1, 0), Text(l.cost)
	}
	s.total = plus(s.total, c.Cost)
}

// statement is the sheet as it is shown.
func (s *sheet) statement(t tenancy.TenantID, m Month, currency string) Statement {
	st := Statement{
		ID: StatementID(t, m, currency), Tenant: t, Month: m, Currency: currency, State: StateOpen,
		Lines: make([]StatementLine, 0, len(s.lines)), Total: Money(s.total),
	}
	keys := make([]lineKey, 0, len(s.lines))
	for k := range s.lines {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b lineKey) int {
		return cmp.Or(cmp.Compare(a.instance, b.instance), cmp.Compare(a.plan, b.plan), compareBool(a.correction, b.correction),
			cmp.Compare(a.usedIn, b.usedIn), cmp.Compare(kindOrder(a.kind), kindOrder(b.kind)), cmp.Compare(a.meter, b.meter), cmp.Compare(a.tier, b.tier))
	})
	for _, k := range keys {
		l := s.lines[k]
		line := StatementLine{
			Instance: k.instance, Plan: k.plan, Kind: k.kind, Correction: k.correction, UsedIn: k.usedIn, Tier: k.tier,
			Quantity: Text(l.quantity), Unit: l.unit, UnitPrice: l.unitPrice, Amount: Money(l.cost),
		}
		if k.kind == KindUsage {
			line.Meter, line.Used = k.meter.String(), l.used.String()
		}
		st.Lines = append(st.Lines, line)
	}
	return st
}
