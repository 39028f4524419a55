package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
	"weir/tenancy"
)

// FinalAfter is how long after the end of a month its statements become final by
// themselves: from the 3rd on.
const FinalAfter = 2 * 24 * time.Hour

// ErrOpen is of a month that cannot be final yet: it is not over, or some of its hours
// are not sealed.
var ErrOpen = errors.New("the month cannot be final yet")

// Config of a Biller.
type Config struct {
	Records metering.Records
	Store   *Store
	// Sealed says up to where all hours are sealed: this one is not. Optional; then an
	// hour counts as sealed an hour after its time.
	Sealed func(context.Context) (metering.Hour, error)
	// Tenants are those that have records in a month.
	Tenants func(context.Context, Month) iter.Seq2[tenancy.TenantID, error]
	Now     func() time.Time // time.Now if nil
	Log     *slog.Logger
}

// Biller makes statements. Any goroutine.
type Biller struct {
	cfg Config
	Charger
}

// NewBiller returns one.
func NewBiller(cfg Config) *Biller {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Sealed == nil {
		now := cfg.Now
		cfg.Sealed = func(context.Context) (metering.Hour, error) {
			return metering.HourOf(now().Add(-metering.SealAfter - time.Hour)), nil
		}
	}
	return &Biller{cfg: cfg, Charger: Charger{Records: cfg.Records, Books: cfg.Store, Finals: cfg.Store}}
}

// Statements are a tenant's of a month, one for each currency: the final ones, else
// what it comes to so far, with a forecast. None if nothing that costs was used.
func (b *Biller) Statements(ctx context.Context, t tenancy.TenantID, m Month) ([]Statement, error) {
	all, err := b.cfg.Store.Final(ctx, t, m)
	if !errors.Is(err, ErrNotFound) {
		return all, err
	}
	sealed, err := b.cfg.Sealed(ctx)
	if err != nil {
		return nil, fmt.Errorf("how far hours are sealed: %w", err)
	}
	d, err := b.draft(ctx, t, m, sealed, nil)
	if err != nil {
		return nil, err
	}
	return d.statements, nil
}

// draft are a month's statements before they are final.
type draft struct {
	statements []Statement
	plans      []string // that were rated
	prices     *PriceList
}

// draft makes a month's statements of what was used before an hour; if upTo is not
// nil, of records up to these numbers.
func (b *Biller) draft(ctx context.Context, t tenancy.TenantID, m Month, sealed metering.Hour, upTo map[tenancy.InstanceID]int64) (d draft, err error) {
	from, to := m.Hours()
	if to = min(to, sealed); to <= from {
		return d, nil // nothing is sealed yet
	}
	if d.prices, err = b.Books.Prices(ctx); err != nil {
		return d, err
	}
	sheets, plans := map[string]*sheet{}, map[string]bool{}
	q := Query{Tenant: t, From: m.Begin(), To: to.Begin(), upTo: upTo}
	for u, err := range b.uses(ctx, q) {
		if err != nil {
			return d, err
		}
		bills := d.prices.bills(q, u)
		for i := range bills {
			plans[bills[i].plan] = true
			currency := bills[i].book.Currency
			if sheets[currency] == nil {
				sheets[currency] = newSheet(currency)
			}
			sheets[currency].bill(&bills[i], q, m)
		}
	}
	d.plans = slices.Sorted(maps.Keys(plans))
	for _, currency := range slices.Sorted(maps.Keys(sheets)) {
		s := sheets[currency]
		if len(s.lines) == 0 {
			continue
		}
		st := s.statement(t, m, currency)
		st.Through = to.Begin()
		if q.To.Before(m.End()) {
			st.Forecast = Money(s.forecast)
		}
		d.statements = append(d.statements, st)
	}
	return d, nil
}

// bill adds what of a bill is charged in a month, and what that will be when it is over.
func (s *sheet) bill(b *bill, q Query, m Month) {
	for _, c := range chargesOf([]bill{*b}, q) {
		s.add(c)
		if c.Correction {
			s.forecast = plus(s.forecast, c.Cost)
		}
	}
	if b.month != m {
		return
	}
	from, to := m.Hours()
	will := b.used.scaled(int64(to-from), int64(metering.HourOf(q.To)-from))
	s.forecast = plus(s.forecast, Total(b.book.Currency, Rate(b.book, &will, true)))
}

// scaled is u × n ÷ d, rounded down.
func (u *Used) scaled(n, d int64) (out Used) {
	for m := range u {
		var r apd.BigInt
		out[m].Mul(&u[m], apd.NewBigInt(n))
		out[m].QuoRem(&out[m], apd.NewBigInt(d), &r)
	}
	return out
}

// Finalize makes a tenant's month final, and returns its statements; those that are
// final already are returned as they are. ErrOpen before the month is over and sealed.
func (b *Biller) Finalize(ctx context.Context, t tenancy.TenantID, m Month) ([]Statement, error) {
	if all, err := b.cfg.Store.Final(ctx, t, m); !errors.Is(err, ErrNotFound) {
		return all, err
	}
	sealed, err := b.cfg.Sealed(ctx)
	if err != nil {
		return nil, fmt.Errorf("how far hours are sealed: %w", err)
	}
	if _, to := m.Hours(); sealed < to {
		return nil, fmt.Errorf("%s of tenant %s: %w: hours are sealed up to %s", m, t, ErrOpen, sealed.Begin().Format(time.RFC3339))
	}
	marks := Marks{At: b.cfg.Now().UTC().Truncate(time.Second)}
	if marks.Numbers, err = b.heads(ctx, t, m); err != nil {
		return nil, err
	}
	d, err := b.draft(ctx, t, m, sealed, marks.Numbers)
	if err != nil {
		return nil, err
	}
	for _, plan := range d.plans {
		if v := d.prices.version(plan, m, time.Time{}); v != nil {
			if err := b.cfg.Store.pin(ctx, plan, m, v.prices); err != nil {
				return nil, err
			}
		}
	}
	for i := range d.statements {
		d.statements[i].finalize(marks.At)
	}
	done, err := b.cfg.Store.putFinal(ctx, t, m, marks, d.statements)
	if err != nil {
		return nil, err
	}
	if done {
		b.cfg.Log.Info("statements are final", "tenant", string(t), "month", m.String(), "statements", len(d.statements))
	}
	return b.cfg.Store.Final(ctx, t, m) // somebody else's, if that was faster
}

func (st *Statement) finalize(at time.Time) {
	st.State, st.Finalized, st.Forecast = StateFinal, at, ""
	sum := sha256.New()
	_ = st.WriteCSV(sum) // a hash takes everything
	st.SHA256 = hex.EncodeToString(sum.Sum(nil))
}

// heads are the numbers of the newest records of a tenant's instances that can be
// charged in a month. What has a lower one was there before this returned.
func (b *Biller) heads(ctx context.Context, t tenancy.TenantID, m Month) (map[tenancy.InstanceID]int64, error) {
	from, _ := (m - lookBack).Hours()
	_, to := m.Hours()
	heads := map[tenancy.InstanceID]int64{}
	for r, err := range b.Records.Records(ctx, metering.Query{Tenant: t, From: from, To: to}) {
		if err != nil {
			return nil, err
		}
		heads[r.Instance] = max(heads[r.Instance], r.Number)
	}
	return heads, nil
}
