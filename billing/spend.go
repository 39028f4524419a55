package billing

import (
	"context"
	"sync"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
	"weir/tenancy"
)

// spending knows what tenants have spent in the present month, without reading all of
// it each minute: what is sealed is kept until more is. Any goroutine.
type spending struct {
	biller *Biller

	mu    sync.Mutex
	known map[tenancy.TenantID]*spent
}

// spent is what a tenant used in the sealed hours of a month. Immutable.
type spent struct {
	month       Month
	through     metering.Hour
	used        map[account]*Used
	corrections map[string]apd.Decimal // by currency: what is charged for earlier months
}

// account is what is rated together within a month.
type account struct {
	instance tenancy.InstanceID
	plan     string
}

// month is what a tenant has spent of a currency in the month of a moment, open hours
// with it, and what that will be at its end.
func (s *spending) month(ctx context.Context, t tenancy.TenantID, currency string, now time.Time) (spent, forecast apd.Decimal, err error) {
	base, err := s.sealed(ctx, t, now)
	if err != nil {
		return spent, forecast, err
	}
	used, err := s.recent(ctx, t, base, now)
	if err != nil {
		return spent, forecast, err
	}
	prices, err := s.biller.Books.Prices(ctx)
	if err != nil {
		return spent, forecast, err
	}
	spent, forecast = zero(currency), zero(currency)
	if c, ok := base.corrections[currency]; ok {
		spent, forecast = c, c
	}
	begin, end := base.month.Begin(), base.month.End()
	for a, u := range used {
		book := prices.Book(a.plan, base.month, time.Time{})
		if book == nil || book.Currency != currency {
			continue
		}
		spent = plus(spent, Total(currency, Rate(book, u, false)))
		will := u.scaled(int64(end.Sub(begin)/time.Second), max(1, int64(now.Sub(begin)/time.Second)))
		forecast = plus(forecast, Total(currency, Rate(book, &will, true)))
	}
	return spent, forecast, nil
}

// sealed is what is known of sealed hours, read anew when more of them are.
func (s *spending) sealed(ctx context.Context, t tenancy.TenantID, now time.Time) (*spent, error) {
	m := MonthOf(now)
	from, to := m.Hours()
	through, err := s.biller.cfg.Sealed(ctx)
	if err != nil {
		return nil, err
	}
	through = min(max(through, from), to)
	s.mu.Lock()
	is := s.known[t]
	s.mu.Unlock()
	if is != nil && is.month == m && is.through == through {
		return is, nil
	}
	is = &spent{month: m, through: through, used: map[account]*Used{}, corrections: map[string]apd.Decimal{}}
	if through > from {
		if err := s.read(ctx, t, is); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[tenancy.TenantID]*spent{}
	}
	s.known[t] = is
	return is, nil
}

// read reads sealed hours.
func (s *spending) read(ctx context.Context, t tenancy.TenantID, is *spent) error {
	q := Query{Tenant: t, From: is.month.Begin(), To: is.through.Begin()}
	prices, err := s.biller.Books.Prices(ctx)
	if err != nil {
		return err
	}
	for u, err := range s.biller.uses(ctx, q) {
		if err != nil {
			return err
		}
		for _, c := range chargesOf(prices.bills(q, u), q) {
			if c.Correction {
				is.corrections[c.Currency] = plus(is.corrections[c.Currency], c.Cost)
			}
		}
		for key, days := range u.months {
			if key.month != is.month {
				continue
			}
			sum := &Used{}
			for _, v := range days.own {
				sum.plus(v)
			}
			is.used[account{u.instance, key.plan}] = sum
		}
	}
	return nil
}

// recent adds the hours that were not sealed then. One that was sealed between the two
// questions is in both answers: then the sealed one counts.
func (s *spending) recent(ctx context.Context, t tenancy.TenantID, base *spent, now time.Time) (map[account]*Used, error) {
	type line struct {
		account
		hour metering.Hour
	}
	open := map[line]metering.Values{}
	_, end := base.month.Hours()
	q := metering.Query{Tenant: t, From: base.through, To: min(end, metering.HourOf(now)+1)}
	for r, err := range s.biller.Records.Open(ctx, q) {
		if err != nil {
			return nil, err
		}
		if r.Part == "" {
			open[line{account{r.Instance, r.Plan}, r.Hour}] = r.Values
		}
	}
	sealed := map[line]metering.Values{}
	for r, err := range s.biller.Records.Records(ctx, q) {
		if err != nil {
			return nil, err
		}
		if r.Part == "" {
			key := line{account{r.Instance, r.Plan}, r.Hour}
			delete(open, key)
			sealed[key] = sealed[key].Plus(r.Values)
		}
	}
	all := make(map[account]*Used, len(base.used))
	for a, u := range base.used {
		all[a] = u.clone()
	}
	for _, more := range []map[line]metering.Values{open, sealed} {
		for l, v := range more {
			if all[l.account] == nil {
				all[l.account] = &Used{}
			}
			all[l.account].Add(v)
		}
	}
	return all, nil
}
