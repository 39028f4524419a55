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
	maxEventsPage = 500
)

var (
	// ErrNotPrepaid is of a top-up for a tenant without a prepaid budget in its currency.
	ErrNotPrepaid = errors.New("no prepaid budget in that currency")
	// ErrTaken is of a top-up's id that another one has.
	ErrTaken = errors.New("another top-up has that id")
	// ErrFull is of a tenant with as many top-ups as it may have.
	ErrFull = errors.New("limit of top-ups reached")
	// ErrCursor is of an after that no page has given.
	ErrCursor = errors.New("no place in this list")
)

// Budget reads a tenant's, and its top-ups in the order of time; ErrNotFound if it has none.
func (s *Store) Budget(ctx context.Context, t tenancy.TenantID) (b Budget, all []TopUp, err error) {
	fields, err := s.hash(ctx, budgetKey(t))
	if err != nil {
		return b, nil, err
	}
	raw, ok := fields[fieldBudget]
	if !ok {
		return b, nil, fmt.Errorf("budget of tenant %s: %w", t, ErrNotFound)
	}
	if err := json.Unmarshal([]byte(raw), &b); err != nil {
		return b, nil, fmt.Errorf("budget of tenant %s is broken in redis: %w", t, err)
	}
	if wrong := b.Check(); len(wrong) > 0 {
		return b, nil, fmt.Errorf("budget of tenant %s is broken in redis: %w", t, wrong[0])
	}
	for field, raw := range fields {
		if !strings.HasPrefix(field, topUpPrefix) {
			continue
		}
		var up TopUp
		if err := json.Unmarshal([]byte(raw), &up); err != nil {
			return b, nil, fmt.Errorf("top-up %.80q of tenant %s is broken in redis: %w", field, t, err)
		}
		all = append(all, up)
	}
	slices.SortFunc(all, func(a, b TopUp) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return b, all, nil
}

// SetBudget replaces a tenant's budget. Top-ups stay. A Mistake if there is one in it.
func (s *Store) SetBudget(ctx context.Context, t tenancy.TenantID, b Budget) error {
	if wrong := b.Check(); len(wrong) > 0 {
		return wrong[0]
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("budget of tenant %s: %w", t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// The set first: a tenant in it that has no budget does no harm.
	if err := s.rdb.SAdd(ctx, keyBudgets, string(t)).Err(); err != nil {
		return fmt.Errorf("writing the budget of tenant %s: %w", t, err)
	}
	if err := s.rdb.HSet(ctx, budgetKey(t), fieldBudget, raw).Err(); err != nil {
		return fmt.Errorf("writing the budget of tenant %s: %w", t, err)
	}
	return nil
}

// DeleteBudget removes a tenant's budget; top-ups stay, for there may be one again.
func (s *Store) DeleteBudget(ctx context.Context, t tenancy.TenantID) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.rdb.HDel(ctx, budgetKey(t), fieldBudget).Err(); err != nil {
		return fmt.Errorf("deleting the budget of tenant %s: %w", t, err)
	}
	if err := s.rdb.SRem(ctx, keyBudgets, string(t)).Err(); err != nil {
		return fmt.Errorf("deleting the budget of tenant %s: %w", t, err)
	}
	return nil
}

// TopUp adds to a prepaid balance. Given again with the same id it changes nothing.
// ErrNotPrepaid, ErrTaken, ErrFull.
func (s *Store) TopUp(ctx context.Context, t tenancy.TenantID, currency string, up TopUp) error {
	amount, err := ParseAmount(up.Amount, currency)
	if err == nil && amount.IsZero() {
		err = fmt.Errorf("%.40q is nothing", up.Amount)
	}
	if err != nil {
		return Mistake{"amount", err.Error()}
	}
	raw, err := json.Marshal(up)
	if err != nil {
		return fmt.Errorf("top-up of tenant %s: %w", t, err)
	}
	answer, err := s.run(ctx, s.topup, []string{budgetKey(t)}, up.ID, raw, currency, maxTopUps).Text()
	switch {
	case err != nil:
		return fmt.Errorf("writing a top-up of tenant %s: %w", t, err)
	case answer == "ok":
		return nil
	case answer == "missing":
		return fmt.Errorf("tenant %s, %s: %w", t, currency, ErrNotPrepaid)
	case answer == "full":
		return fmt.Errorf("tenant %s: %w", t, ErrFull)
	}
	var was TopUp
	if json.Unmarshal([]byte(answer), &was) == nil && was.Amount == up.Amount {
		return nil // the same, said again later
	}
	return fmt.Errorf("tenant %s, %.80q: %w", t, up.ID, ErrTaken)
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
