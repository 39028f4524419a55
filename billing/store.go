package billing

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// callTimeout bounds each step, as tenancy's.
const callTimeout = 2 * time.Second

// Keys. None but those of events and of what was raised ends by itself: what was
// invoiced is kept. What must change together shares a slot, as in package tenancy.
//
//	weir:{weir}:prices                 hash: "<plan> <month> <unix µs>" -> Prices (JSON): from that month on, said then; {"unset":true}: the file's again
//	                                         "<plan> <month> pinned" -> Prices: what the month was invoiced by
//	weir:{weir}:budgets                set of tenants that have a budget
//	weir:{<tenant>}:billed             hash: month -> totals by currency (JSON): months whose statements are final
//	weir:{<tenant>}:billed:<month>     hash: currency -> Statement (JSON, gzip)
//	weir:{<tenant>}:billed:<month>:marks  hash: instance -> number of its newest record in it; "made at" -> RFC 3339
//	weir:{<tenant>}:budget             hash: "budget" -> Budget (JSON), "topup <id>" -> TopUp (JSON), "since <currency>" -> Month
//	weir:{<tenant>}:budget:<month>     hash: "<threshold> <amount>" -> when it was crossed
//	weir:{<tenant>}:budget_events      stream: e (Event, JSON)
const (
	keyPrices  = "weir:{weir}:prices"
	keyBudgets = "weir:{weir}:budgets"
)

func billedKey(t tenancy.TenantID) string { return "weir:{" + string(t) + "}:billed" }
func statementsKey(t tenancy.TenantID, m Month) string {
	return billedKey(t) + ":" + m.String()
}
func marksKey(t tenancy.TenantID, m Month) string { return statementsKey(t, m) + ":marks" }
func budgetKey(t tenancy.TenantID) string         { return "weir:{" + string(t) + "}:budget" }
func raisedKey(t tenancy.TenantID, m Month) string {
	return budgetKey(t) + ":" + m.String()
}
func eventsKey(t tenancy.TenantID) string { return "weir:{" + string(t) + "}:budget_events" }

// Scripts, run by EVALSHA.
var (
	//go:embed scripts/finalize.lua
	finalizeLua string
	//go:embed scripts/deletebudget.lua
	deleteBudgetLua string
	//go:embed scripts/setbudget.lua
	setBudgetLua string
	//go:embed scripts/raise.lua
	raiseLua string
	//go:embed scripts/topup.lua
	topupLua string
)

// ErrNotFound is of a statement or budget that is not there.
var ErrNotFound = errors.New("not found")

// Store keeps prices, final statements and budgets in Redis (standalone, Sentinel or
// Cluster). Any goroutine.
type Store struct {
	rdb                     redis.UniversalClient
	file                    map[string]Prices
	finalize, raise, topup  *redis.Script
	setBudget, deleteBudget *redis.Script
	timeout                 time.Duration
}

// NewStore returns a store on rdb, whoever made it keeps and closes it (made as
// tenancy.NewStore wants it). file are the prices that plans have where none were set;
// they must be right.
func NewStore(rdb redis.UniversalClient, file map[string]Prices) *Store {
	return &Store{
		rdb: rdb, file: file, timeout: callTimeout,
		finalize: redis.NewScript(finalizeLua), raise: redis.NewScript(raiseLua), topup: redis.NewScript(topupLua),
		setBudget: redis.NewScript(setBudgetLua), deleteBudget: redis.NewScript(deleteBudgetLua),
	}
}

func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return script.Run(ctx, s.rdb, keys, args...)
}

// hash reads a whole hash; empty if it is not there.
func (s *Store) hash(ctx context.Context, key string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	all, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return all, nil
}
