package metering

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Keys of sealed records. Those of an instance share a slot of Redis Cluster.
//
//	weir:{<instance>}:records               hash: the chain's head; never ends
//	weir:{<instance>}:records:<day>         hash: number -> record (Record.Encode) of hours of that day; retention
//	weir:{<instance>}:records:<day>:parts   the same of the breakdown
//	weir:{weir}:records:<month>             sorted set, score 0, of "<tenant> <instance>" that have records in it; retention
//	weir:{weir}:seal                        hash: hour (all up to it are sealed), since (unix ms when this Redis began)
//	weir:{weir}:seal:lease                  hash: who seals (scripts/seal_lease.lua)
//	weir:{weir}:healing                     hash: gateway -> unix ms until which it puts back records that Redis lost
const (
	keySeal      = "weir:{weir}:seal"
	keySealLease = "weir:{weir}:seal:lease"
	keyHealing   = "weir:{weir}:healing"

	// DefaultRetention is how long records are kept: 13 months.
	DefaultRetention = 9600 * time.Hour

	dayForm   = "2006-01-02"
	monthForm = "2006-01"
)

// Day and month of an hour, as in keys.
func (h Hour) day() string   { return h.Begin().Format(dayForm) }
func (h Hour) month() string { return h.Begin().Format(monthForm) }

// midnight is the first hour of its day.
func (h Hour) midnight() Hour { return h - Hour(h.Begin().Hour()) }

func headKey(id tenancy.InstanceID) string { return "weir:{" + string(id) + "}:records" }
func dayKey(id tenancy.InstanceID, h Hour) string {
	return "weir:{" + string(id) + "}:records:" + h.day()
}
func partsKey(id tenancy.InstanceID, h Hour) string { return dayKey(id, h) + ":parts" }
func monthKey(month string) string                  { return "weir:{weir}:records:" + month }

var (
	// errMoved: somebody else has appended to a chain meanwhile: read again.
	errMoved = errors.New("the chain of records has another end by now")
	// errChain: a chain in Redis that nothing can be appended to.
	errChain = errors.New("the chain of records in redis is damaged")
)

// Scripts, run by EVALSHA (see tenancy/redis.go).
var (
	//go:embed scripts/seal_append.lua
	sealAppendLua string
	//go:embed scripts/seal_lease.lua
	sealLeaseLua string
	//go:embed scripts/seal_progress.lua
	sealProgressLua string
)

var _ Records = (*RecordStore)(nil)

// RecordStore is the sealed records in Redis. Any goroutine.
type RecordStore struct {
	rdb       redis.UniversalClient
	counts    *Store
	retention time.Duration
	now       func() time.Time

	open openList

	append, lease, progress *redis.Script
}

// RecordStoreConfig says where records are kept.
type RecordStoreConfig struct {
	Redis redis.UniversalClient
	// Store has the counts of hours that are not sealed.
	Store *Store
	// Retention is how long records are kept; DefaultRetention if zero.
	Retention time.Duration
	Now       func() time.Time // time.Now if nil
}

// NewRecordStore returns the records in a Redis. Nothing is asked yet.
func NewRecordStore(cfg RecordStoreConfig) *RecordStore {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &RecordStore{
		rdb: cfg.Redis, counts: cfg.Store, retention: cmp.Or(cfg.Retention, DefaultRetention), now: cfg.Now,
		append: redis.NewScript(sealAppendLua), lease: redis.NewScript(sealLeaseLua), progress: redis.NewScript(sealProgressLua),
	}
}

// Retention is how long records are kept after their hour.
func (s *RecordStore) Retention() time.Duration { return s.retention }

// head is where an instance's chain ends; the zero head has no record before it.
type head struct {
	number int64
	hash   [32]byte
	// hour is the newest that has a record, born the oldest that ever had one.
	hour, born Hour
}

func (h head) text() string {
	if h.number == 0 {
		return ""
	}
	return hex.EncodeToString(h.hash[:])
}

func parseHead(id tenancy.InstanceID, fields map[string]string) (h head, err error) {
	if len(fields) == 0 {
		return head{}, nil
	}
	numbers := [3]int64{}
	for i, name := range []string{"number", "hour", "born"} {
		n, e := strconv.ParseInt(fields[name], 10, 64)
		numbers[i], err = n, errors.Join(err, e)
	}
	hash, e := hex.DecodeString(fields["hash"])
	if err != nil || e != nil || len(hash) != len(h.hash) || numbers[0] < 1 {
		return head{}, fmt.Errorf("%w: instance %s: its head is %.200q", errChain, id, fmt.Sprint(fields))
	}
	return head{number: numbers[0], hash: [32]byte(hash), hour: Hour(numbers[1]), born: Hour(numbers[2])}, nil
}

// head reads where a chain ends.
func (s *RecordStore) head(ctx context.Context, id tenancy.InstanceID) (head, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	fields, err := s.rdb.HGetAll(ctx, headKey(id)).Result()
	if err != nil {
		return head{}, fmt.Errorf("records of instance %s: %w", id, err)
	}
	return parseHead(id, fields)
}

// day reads the records of an instance's day, in order of their numbers.
func (s *RecordStore) day(ctx context.Context, id tenancy.InstanceID, h Hour, parts bool) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	p := s.rdb.Pipeline()
	cmds := []*redis.MapStringStringCmd{p.HGetAll(ctx, dayKey(id, h))}
	if parts {
		cmds = append(cmds, p.HGetAll(ctx, partsKey(id, h)))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("records of instance %s on %s: %w", id, h.day(), err)
	}
	var all []Record
	for _, cmd := range cmds {
		records, err := parseDay(id, h, cmd.Val())
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// parseDay reads the records of a day's hash.
func parseDay(id tenancy.InstanceID, day Hour, fields map[string]string) ([]Record, error) {
	records := make([]Record, 0, len(fields))
	for number, raw := range fields {
		r, err := parseRecord(id, day, number, raw)
		if err != nil {
			return nil, fmt.Errorf("%w: instance %s: record %.20s of %s: %w", errChain, id, number, day.day(), err)
		}
		records = append(records, r)
	}
	return records, nil
}

// parseRecord insists that a record is what its place says; with an error the record
// has only the number of its place.
func parseRecord(id tenancy.InstanceID, day Hour, number, raw string) (Record, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("%w: its number is no number", errRecord)
	}
	r, err := DecodeRecord([]byte(raw))
	if err == nil && (r.Instance != id || r.Hour.midnight() != day.midnight() || r.Number != n) {
		err = fmt.Errorf("%w that belongs here: it is record %d of instance %.40s and hour %s", errRecord, r.Number, r.Instance, r.Hour)
	}
	if err != nil {
		return Record{Number: n}, err
	}
	return r, nil
}

// link gives records their places behind a head, and returns the new head.
func (h head) link(records []Record) head {
	for i := range records {
		r := &records[i]
		r.Number, r.Prev = h.number+1, h.hash
		h.number, h.hash = r.Number, r.Hash()
		h.hour = max(h.hour, r.Hour)
	}
	return h
}

// write appends records, all of one instance and day, to a chain that ends at from. It
// will then end at to. errMoved: it ends elsewhere, and nothing was written. Done
// twice, it is done once.
func (s *RecordStore) write(ctx context.Context, from, to head, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	first := records[0]
	oldest := first.Hour
	args := []any{from.number, from.text(), to.number, to.text(), int64(to.hour), 0, s.ends(first.Hour).UnixMilli()}
	for _, r := range records {
		which := 2
		if r.Part != "" {
			which = 3
		}
		oldest = min(oldest, r.Hour)
		args = append(args, which, r.Number, r.Encode())
	}
	args[5] = int64(oldest)
	keys := []string{headKey(first.Instance), dayKey(first.Instance, first.Hour), partsKey(first.Instance, first.Hour)}
	switch answer, err := s.append.Run(ctx, s.rdb, keys, args...).Text(); {
	case err != nil:
		return fmt.Errorf("records of instance %s: %w", first.Instance, err)
	case answer == "moved":
		return errMoved
	case answer != "ok":
		return fmt.Errorf("%w: instance %s: it has a record %d or a later one behind its head", errChain, first.Instance, from.number+1)
	}
	return nil
}

// ends is when records of an hour's day may be forgotten: so late that whoever walks
// along the chain of the retention's days finds their corrections of older ones.
func (s *RecordStore) ends(h Hour) time.Time {
	return (h.midnight() + 24).Begin().Add(s.retention + lateKept)
}

// list says that instances have records in a month; before the records are written, so
// that none is ever missed.
func (s *RecordStore) list(ctx context.Context, h Hour, members []string) error {
	if len(members) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	all := make([]redis.Z, len(members))
	for i, m := range members {
		all[i].Member = m
	}
	p := s.rdb.Pipeline()
	p.ZAddNX(ctx, monthKey(h.month()), all...)
	p.PExpireAt(ctx, monthKey(h.month()), s.ends(h).AddDate(0, 1, 0))
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("who has records in %s: %w", h.month(), err)
	}
	return nil
}
