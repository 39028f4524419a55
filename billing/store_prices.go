package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pinnedField says of a field of keyPrices that it is what a month was invoiced by.
const pinnedField = "pinned"

// unsetPrices stands for prices where the file's count again.
const unsetPrices = `{"unset":true}`

// errBrokenPrices is of prices that Redis has, but nobody can read: rating by others
// would be wrong money.
var errBrokenPrices = errors.New("prices in redis are broken")

// Prices are those of all plans as they are now.
func (s *Store) Prices(ctx context.Context) (*PriceList, error) {
	fields, err := s.hash(ctx, keyPrices)
	if err != nil {
		return nil, err
	}
	all := &PriceList{pinned: map[monthOfPlan]*Book{}}
	for plan, p := range s.file {
		b, wrong := p.Book()
		if len(wrong) > 0 {
			return nil, fmt.Errorf("prices of plan %s: %w", plan, wrong[0])
		}
		all.add(plan, version{prices: p, book: b})
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if err := all.field(field, fields[field]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// field reads one field of keyPrices.
func (p *PriceList) field(field, value string) error {
	parts := strings.Fields(field)
	if len(parts) != 3 {
		return fmt.Errorf("%w: field %.80q", errBrokenPrices, field)
	}
	m, err := ParseMonth(parts[1])
	if err != nil {
		return fmt.Errorf("%w: field %.80q: %w", errBrokenPrices, field, err)
	}
	v := version{from: m}
	if value == unsetPrices {
		v.fileAgain(p.versions[parts[0]])
	} else if err := json.Unmarshal([]byte(value), &v.prices); err != nil {
		return fmt.Errorf("%w: field %.80q: %w", errBrokenPrices, field, err)
	} else if book, wrong := v.prices.Book(); len(wrong) > 0 {
		return fmt.Errorf("%w: field %.80q: %w", errBrokenPrices, field, wrong[0])
	} else {
		v.book = book
	}
	if parts[2] == pinnedField {
		p.pinned[monthOfPlan{m, parts[0]}] = v.book
		return nil
	}
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: field %.80q", errBrokenPrices, field)
	}
	v.at = time.UnixMicro(at)
	p.add(parts[0], v)
	return nil
}

// SetPrices sets what a plan costs from a month on, said at that moment. The month
// must not be over then; earlier versions are kept, and count for earlier months. A
// Mistake if the prices have one.
func (s *Store) SetPrices(ctx context.Context, plan string, from Month, p Prices, at time.Time) error {
	if err := CheckFrom(from, at); err != nil {
		return Mistake{"from", err.Error()}
	}
	if _, wrong := p.Book(); len(wrong) > 0 {
		return wrong[0]
	}
	return s.putPrices(ctx, fmt.Sprintf("%s %s %d", plan, from, at.UnixMicro()), p)
}

// UnsetPrices takes back what was set, so that the gateways' file counts again from a
// month on, until a later one for which prices were set. As SetPrices.
func (s *Store) UnsetPrices(ctx context.Context, plan string, from Month, at time.Time) error {
	if err := CheckFrom(from, at); err != nil {
		return Mistake{"from", err.Error()}
	}
	return s.writePrices(ctx, fmt.Sprintf("%s %s %d", plan, from, at.UnixMicro()), []byte(unsetPrices))
}

// CheckFrom says why prices cannot change from a month on at that moment.
func CheckFrom(from Month, at time.Time) error {
	if from < MonthOf(at) {
		return fmt.Errorf("%s is over: prices change for this month or a later one", from)
	}
	return nil
}

// pin keeps what a month is invoiced by, whatever the file says later.
func (s *Store) pin(ctx context.Context, plan string, m Month, p Prices) error {
	return s.putPrices(ctx, fmt.Sprintf("%s %s %s", plan, m, pinnedField), p)
}

func (s *Store) putPrices(ctx context.Context, field string, p Prices) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("prices %s: %w", field, err)
	}
	return s.writePrices(ctx, field, raw)
}

func (s *Store) writePrices(ctx context.Context, field string, raw []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.rdb.HSetNX(ctx, keyPrices, field, raw).Err(); err != nil {
		return fmt.Errorf("writing prices %s: %w", field, err)
	}
	return nil
}
