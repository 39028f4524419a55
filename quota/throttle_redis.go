package quota

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// ThrottlesKept is for how long throttles are kept: each minute for an hour and
	// some, each hour for a day.
	ThrottlesKept = 24 * time.Hour
	minutesKept   = time.Hour

	throttlesTimeout = 2 * time.Second // of one step, as tenancy's
	// pipelineRows is about how many rows one pipeline writes, of some 200 bytes each:
	// those of a thousand busy instances.
	pipelineRows = 10_000
)

// ThrottleStore keeps in Redis who was throttled, of all gateways. Any goroutine.
// A table of an instance has one key; each gateway writes what it knows of it to a
// field of its own, in absolute numbers, so that writing it again is harmless.
//
//	weir:{<instance>}:throttles:<2006-01-02T15:04>  hash: "<gateway> <epoch>" -> rows of that minute (JSON)
//	weir:{<instance>}:throttles:<2006-01-02T15>     the same of an hour
//
// Both expire by themselves.
type ThrottleStore struct {
	rdb   redis.UniversalClient
	field string
}

// NewThrottleStore returns one for a process. Gateways of the same name do no harm:
// a process that begins anew knows nothing of what the one before it had written.
func NewThrottleStore(rdb redis.UniversalClient, gateway string) *ThrottleStore {
	return &ThrottleStore{rdb: rdb, field: gateway + " " + crand.Text()[:8]}
}

// throttlePage is a table as it is in Redis: of one instance, of one gateway.
type throttlePage struct {
	id      tenancy.InstanceID
	gateway string // field
	start   time.Time
	hour    bool // else of a minute
	rows    []storedThrottle
}

// storedThrottle is one row. Times are Unix milliseconds, durations milliseconds.
type storedThrottle struct {
	Limit      tenancy.LimitName   `json:"l"`
	Kind       ThrottleKind        `json:"k"`
	Of         tenancy.QuotaEntity `json:"of"`
	User       string              `json:"u,omitempty"`
	Client     string              `json:"c,omitempty"`
	Other      bool                `json:"o,omitempty"`
	Count      int64               `json:"n"`
	Told, Held int64
	Over       float64 `json:"x,omitempty"`
	First      int64   `json:"f"`
	Last       int64   `json:"a"`
	Until      int64   `json:"e"`
	Since      int64   `json:"s"`
}

func (p throttlePage) key() string {
	layout := "2006-01-02T15:04"
	if p.hour {
		layout = "2006-01-02T15"
	}
	return "weir:{" + string(p.id) + "}:throttles:" + p.start.UTC().Format(layout)
}

// write keeps pages of this gateway, in a round trip for each pipelineRows. Some may
// have been written when it fails.
func (s *ThrottleStore) write(ctx context.Context, pages []throttlePage) error {
	for len(pages) > 0 {
		n, rows := 0, 0
		for n < len(pages) && rows < pipelineRows {
			rows += len(pages[n].rows)
			n++
		}
		if err := s.writeSome(ctx, pages[:n]); err != nil {
			return fmt.Errorf("keeping %d tables of throttles: %w", len(pages), err)
		}
		pages = pages[n:]
	}
	return nil
}

func (s *ThrottleStore) writeSome(ctx context.Context, pages []throttlePage) error {
	ctx, cancel := context.WithTimeout(ctx, throttlesTimeout)
	defer cancel()
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, page := range pages {
			var rows bytes.Buffer
			enc := json.NewEncoder(&rows)
			enc.SetEscapeHTML(false) // a client's names would grow to six times their size
			if err := enc.Encode(page.rows); err != nil {
				return err
			}
			kept := minutesKept + 10*time.Minute
			if page.hour {
				kept = ThrottlesKept + time.Hour
			}
			p.HSet(ctx, page.key(), s.field, rows.Bytes())
			p.Expire(ctx, page.key(), kept)
		}
		return nil
	})
	return err
}

// read returns an instance's pages of all gateways that begin in [from, to]: those of
// minutes, or those of hours. At most a day's hours or an hour's minutes are asked for.
func (s *ThrottleStore) read(ctx context.Context, id tenancy.InstanceID, from, to time.Time, hour bool) ([]throttlePage, error) {
	ctx, cancel := context.WithTimeout(ctx, throttlesTimeout)
	defer cancel()
	step := time.Minute
	if hour {
		step = time.Hour
	}
	var asked []throttlePage
	for at := from.Truncate(step); !at.After(to); at = at.Add(step) {
		asked = append(asked, throttlePage{id: id, start: at, hour: hour})
	}
	found, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, page := range asked {
			p.HGetAll(ctx, page.key())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading throttles of instance %s: %w", id, err)
	}
	var pages []throttlePage
	for i, cmd := range found {
		got, _ := cmd.(*redis.MapStringStringCmd)
		for gateway, raw := range got.Val() {
			page := asked[i]
			page.gateway = gateway
			if err := json.Unmarshal([]byte(raw), &page.rows); err != nil {
				return nil, fmt.Errorf("throttles of instance %s in redis (%s) are broken: %w", id, page.key(), err)
			}
			pages = append(pages, page)
		}
	}
	return pages, nil
}
