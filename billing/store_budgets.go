package billing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// maxTopUps is how many top-ups a tenant may have.
	maxTopUps = 10_000
	// eventsKept is for how long events are, and about how many of a tenant.
	eventsKept    = 400 * 24 * time.Hour
	maxEvents     = 1000
	fieldBudget   = "budget"
	topUpPrefix   = "topup "
	sincePrefix   = "since "
	maxEventsPage = 500
)

var (
	// ErrNotPrepaid is of a top-up for a tenant without a prepaid budget in its currency.
	ErrNotPrepaid = errors.New("no prepaid budget in that currency")
	// ErrOperators is of a tenant that would change its operator's budget.
	ErrOperators = errors.New("the budget is an operator's")
	// ErrTaken is of a top-up's id that another one has.
	ErrTaken = errors.New("another top-up has that id")
	// ErrFull is of a tenant with as many top-ups as it may have.
	ErrFull = errors.New("limit of top-ups reached")
	// ErrCursor is of an after that no page has given.
	ErrCursor = errors.New("no place in this list")
)

// Budget reads a tenant's, and its top-ups in the order of time; ErrNotFound if it has
// none, then with the top-ups of the one that it had.
func (s *Store) Budget(ctx context.Context, t tenancy.TenantID) (b Budget, all []TopUp, err error) {
	fields, err := s.hash(ctx, budgetKey(t))
	if err != nil {
		return b, nil, err
	}
	if all, err = topUps(t, fields); err != nil {
		return b, nil, err
	}
	raw, ok := fields[fieldBudget]
	if !ok {
		return b, all, fmt.Errorf("budget of tenant %s: %w", t, ErrNotFound)
	}
	if err := json.Unmarshal([]byte(raw), &b); err != nil {
		return b, nil, fmt.Errorf("budget of tenant %s is broken in redis: %w", t, err)
	}
	if wrong := b.Check(); len(wrong) > 0 {
		return b, nil, fmt.Errorf("budget of tenant %s is broken in redis: %w", t, wrong[0])
	}
	return b, all, nil
}

// topUps are those among the fields of a budget, in the order of time.
func topUps(t tenancy.TenantID, fields map[string]string) (all []TopUp, err error) {
	for field, raw := range fields {
		if !strings.HasPrefix(field, topUpPrefix) {
			continue
		}
		var up TopUp
		if err := json.Unmarshal([]byte(raw), &up); err != nil {
			return nil, fmt.Errorf("top-up %.80q of tenant %s is broken in redis: %w", field, t, err)
		}
		all = append(all, up)
	}
	slices.SortFunc(all, func(a, b TopUp) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// SetBudget replaces a tenant's budget; a prepaid one with a top-up (nil: none), both or
// neither. The top-up is in the budget's currency, whatever it says. Top-ups that there
// were stay, and count when a prepaid budget is in their currency; counted is whether this
// was one of them. A Mistake if there is one in it, ErrTaken, ErrFull, ErrOperators.
func (s *Store) SetBudget(ctx context.Context, t tenancy.TenantID, b Budget, up *TopUp) (counted bool, err error) {
	if wrong := b.Check(); len(wrong) > 0 {
		return false, wrong[0]
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("budget of tenant %s: %w", t, err)
	}
	args := []any{raw, b.Currency, ""}
	if b.Mode == ModePrepaid {
		args[2] = b.Since.String()
	}
	if up != nil {
		if b.Mode != ModePrepaid {
			return false, Mistake{"balance", "only a prepaid budget has one"}
		}
		in, err := up.in(b.Currency)
		if err != nil {
			return false, Mistake{"balance.amount", err.Error()}
		}
		paid, err := json.Marshal(in)
		if err != nil {
			return false, fmt.Errorf("top-up of tenant %s: %w", t, err)
		}
		args = append(args, in.ID, paid, in.Amount, maxTopUps)
	}
	if err := s.budgeted(ctx, t); err != nil {
		return false, err
	}
	answer, err := s.run(ctx, s.setBudget, []string{budgetKey(t)}, args...).Text()
	if err != nil {
		return false, fmt.Errorf("writing the budget of tenant %s: %w", t, err)
	}
	if up == nil {
		up = &TopUp{}
	}
	return s.toppedUp(t, up.ID, answer)
}

// PrepaidSince is the first month that a tenant's prepaid balance in a currency pays, or
// paid when there last was one; not ok if there never was.
func (s *Store) PrepaidSince(ctx context.Context, t tenancy.TenantID, currency string) (m Month, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	text, err := s.rdb.HGet(ctx, budgetKey(t), sincePrefix+currency).Result()
	if errors.Is(err, redis.Nil) {
		return 0, false, nil
	}
	if err == nil {
		m, err = ParseMonth(text)
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the budget of tenant %s: %w", t, err)
	}
	return m, true, nil
}

// budgeted puts a tenant among those that have a budget. It comes first: a tenant there
// that has none does no harm.
func (s *Store) budgeted(ctx context.Context, t tenancy.TenantID) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.rdb.SAdd(ctx, keyBudgets, string(t)).Err(); err != nil {
		return fmt.Errorf("writing the budget of tenant %s: %w", t, err)
	}
	return nil
}

// toppedUp is what a script's answer about a top-up means.
func (s *Store) toppedUp(t tenancy.TenantID, id, answer string) (counted bool, err error) {
	switch answer {
	case "ok":
		return false, nil
	case "counted":
		return true, nil
	case "missing":
		return false, fmt.Errorf("tenant %s: %w", t, ErrNotPrepaid)
	case "full":
		return false, fmt.Errorf("tenant %s: %w", t, ErrFull)
	case "operators":
		return false, fmt.Errorf("tenant %s: %w", t, ErrOperators)
	}
	return false, fmt.Errorf("tenant %s, %.80q: %w", t, id, ErrTaken)
}

// DeleteBudget removes a tenant's budget; top-ups stay, for there may be one again.
// ErrOperators if it is an operator's and who asks is none.
func (s *Store) DeleteBudget(ctx context.Context, t tenancy.TenantID, byOperator bool) error {
	who := "tenant"
	if byOperator {
		who = "operator"
	}
	answer, err := s.run(ctx, s.deleteBudget, []string{budgetKey(t)}, who).Text()
	if err != nil {
		return fmt.Errorf("deleting the budget of tenant %s: %w", t, err)
	}
	if answer != "ok" {
		return fmt.Errorf("tenant %s: %w", t, ErrOperators)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.rdb.SRem(ctx, keyBudgets, string(t)).Err(); err != nil {
		return fmt.Errorf("deleting the budget of tenant %s: %w", t, err)
	}
	return nil
}

// TopUp adds to a prepaid balance, whose currency must be the top-up's. Given again with
// the same id it changes nothing, and counted is true. ErrNotPrepaid, ErrTaken, ErrFull.
func (s *Store) TopUp(ctx context.Context, t tenancy.TenantID, up TopUp) (counted bool, err error) {
	up, err = up.in(up.Currency)
	if err != nil {
		return false, Mistake{"amount", err.Error()}
	}
	raw, err := json.Marshal(up)
	if err != nil {
		return false, fmt.Errorf("top-up of tenant %s: %w", t, err)
	}
	answer, err := s.run(ctx, s.topup, []string{budgetKey(t)}, up.ID, raw, up.Currency, maxTopUps, up.Amount).Text()
	if err != nil {
		return false, fmt.Errorf("writing a top-up of tenant %s: %w", t, err)
	}
	return s.toppedUp(t, up.ID, answer)
}

// in is a top-up in a currency, its amount written as all are: whoever sends it again may
// write it in another way.
func (up TopUp) in(currency string) (TopUp, error) {
	amount, err := ParsePositive(up.Amount, currency)
	up.Amount, up.Currency = Money(amount), currency
	return up, err
}

// Budgeted are the tenants that have a budget.
func (s *Store) Budgeted(ctx context.Context) ([]tenancy.TenantID, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	names, err := s.rdb.SMembers(ctx, keyBudgets).Result()
	if err != nil {
		return nil, fmt.Errorf("reading who has a budget: %w", err)
	}
	slices.Sort(names)
	all := make([]tenancy.TenantID, len(names))
	for i, name := range names {
		all[i] = tenancy.TenantID(name)
	}
	return all, nil
}

// raiseEvent keeps an event, once a month, threshold and amount; false if it was there.
func (s *Store) raiseEvent(ctx context.Context, e Event) (bool, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	field := string(e.Threshold) + " " + e.Available + " " + e.Currency
	if e.Mode == ModePrepaid && e.Threshold != Threshold100 {
		field = string(e.Threshold) + " " + e.Currency // not again for every top-up
	}
	did, err := s.run(ctx, s.raise, []string{raisedKey(e.Tenant, e.Month), eventsKey(e.Tenant)},
		field, e.At.UTC().Format(time.RFC3339), raw, eventsKept.Milliseconds(), maxEvents).Bool()
	if err != nil {
		return false, fmt.Errorf("keeping an event of tenant %s: %w", e.Tenant, err)
	}
	return did, nil
}

// Events are a tenant's, newest first, at most limit of them (1 to 500) that are older
// than the id after ("": all).
func (s *Store) Events(ctx context.Context, t tenancy.TenantID, after string, limit int) ([]Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	from := "+"
	if after != "" {
		if ms, n, ok := strings.Cut(after, "-"); !ok || !digits(ms) || !digits(n) || len(after) > 40 {
			return nil, fmt.Errorf("events of tenant %s after %.40q: %w", t, after, ErrCursor)
		}
		from = "(" + after
	}
	entries, err := s.rdb.XRevRangeN(ctx, eventsKey(t), from, "-", int64(min(max(limit, 1), maxEventsPage))).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading events of tenant %s: %w", t, err)
	}
	all := make([]Event, 0, len(entries))
	for _, entry := range entries {
		e := Event{ID: entry.ID}
		raw, _ := entry.Values["e"].(string)
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			return nil, fmt.Errorf("event %s of tenant %s is broken in redis: %w", entry.ID, t, err)
		}
		all = append(all, e)
	}
	return all, nil
}
