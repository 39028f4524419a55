package billing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Totals of a month, by currency.
type Totals map[string]string

// marksAt is the field of marks that says when they were made; no instance's id has a
// space.
const marksAt = "made at"

// Marks are Finals'.
func (s *Store) Marks(ctx context.Context, t tenancy.TenantID, m Month) (Marks, bool, error) {
	fields, err := s.hash(ctx, marksKey(t, m))
	if err != nil || len(fields) == 0 {
		return Marks{}, false, err
	}
	marks := Marks{Numbers: map[tenancy.InstanceID]int64{}}
	if marks.At, err = time.Parse(time.RFC3339, fields[marksAt]); err != nil {
		return Marks{}, false, fmt.Errorf("what was invoiced to %s in %s is broken in redis: %w", t, m, err)
	}
	delete(fields, marksAt)
	for instance, n := range fields {
		if marks.Numbers[tenancy.InstanceID(instance)], err = strconv.ParseInt(n, 10, 64); err != nil {
			return Marks{}, false, fmt.Errorf("what was invoiced to %s in %s is broken in redis: %w", t, m, err)
		}
	}
	return marks, true, nil
}

// Billed are the months of a tenant whose statements are final, with what they come to.
func (s *Store) Billed(ctx context.Context, t tenancy.TenantID) (map[Month]Totals, error) {
	fields, err := s.hash(ctx, billedKey(t))
	if err != nil {
		return nil, err
	}
	all := make(map[Month]Totals, len(fields))
	for month, raw := range fields {
		m, err := ParseMonth(month)
		totals := Totals{}
		if err = errors.Join(err, json.Unmarshal([]byte(raw), &totals)); err != nil {
			return nil, fmt.Errorf("what was invoiced to %s in %.20s is broken in redis: %w", t, month, err)
		}
		all[m] = totals
	}
	return all, nil
}

// Final are the final statements of a tenant's month, by currency; ErrNotFound while
// the month is open.
func (s *Store) Final(ctx context.Context, t tenancy.TenantID, m Month) ([]Statement, error) {
	billed, err := s.Billed(ctx, t)
	if err != nil {
		return nil, err
	}
	if _, ok := billed[m]; !ok {
		return nil, fmt.Errorf("final statements of %s in %s: %w", t, m, ErrNotFound)
	}
	fields, err := s.hash(ctx, statementsKey(t, m))
	if err != nil {
		return nil, err
	}
	all := make([]Statement, 0, len(fields))
	for _, currency := range slices.Sorted(maps.Keys(fields)) {
		st, err := unpack(fields[currency])
		if err != nil {
			return nil, fmt.Errorf("statement of %s in %s in %.3s is broken in redis: %w", t, m, currency, err)
		}
		all = append(all, st)
	}
	return all, nil
}

// putFinal stores a month's statements for good; false if the month is final already,
// and nothing was changed.
func (s *Store) putFinal(ctx context.Context, t tenancy.TenantID, m Month, marks Marks, all []Statement) (bool, error) {
	totals := Totals{}
	args := []any{m.String(), "", len(all)}
	for i := range all {
		packed, err := pack(&all[i])
		if err != nil {
			return false, err
		}
		totals[all[i].Currency] = all[i].Total
		args = append(args, all[i].Currency, packed)
	}
	raw, err := json.Marshal(totals)
	if err != nil {
		return false, err
	}
	args[1] = raw
	args = append(args, marksAt, marks.At.UTC().Format(time.RFC3339))
	for _, id := range slices.Sorted(maps.Keys(marks.Numbers)) {
		args = append(args, string(id), marks.Numbers[id])
	}
	done, err := s.run(ctx, s.finalize, []string{billedKey(t), statementsKey(t, m), marksKey(t, m)}, args...).Bool()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("storing the statements of %s in %s: %w", t, m, err)
	}
	return done, nil
}

func pack(st *Statement) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(w).Encode(st), w.Close()); err != nil {
		return nil, fmt.Errorf("packing statement %s: %w", st.ID, err)
	}
	return b.Bytes(), nil
}

func unpack(packed string) (st Statement, err error) {
	r, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
	if err != nil {
		return st, err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(raw, &st)
}
