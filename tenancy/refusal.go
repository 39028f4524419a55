package tenancy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// RefusalsKept is for how long refused connections are kept.
	RefusalsKept = 24 * time.Hour
	// refusalsLen is about how many entries each instance keeps at most, of some
	// 300 bytes.
	refusalsLen = 1000
	// refusalsTTL ends the stream of an instance that nobody was refused at for long.
	refusalsTTL = RefusalsKept + time.Hour
	// MaxRefusals is how many one call writes or reads at most.
	MaxRefusals = 512

	refusalField = "e"
)

// Refusal is what refused connections that are alike had in common: same
// instance, address, endpoint, reason, user and mechanism, within about a second.
type Refusal struct {
	ID       string     `json:"-"` // of the entry, in order of writing; the cursor of Refusals
	Instance InstanceID `json:"-"` // "" if the connection named none that there is

	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`
	Gateway string    `json:"gateway,omitempty"`
	// Address is the client's; the /64 of an IPv6 address. Invalid: of several.
	Address netip.Prefix `json:"address,omitzero"`
	// Cloud and EndpointID are of the private endpoint that the client came through.
	Cloud      string `json:"cloud,omitempty"`
	EndpointID string `json:"endpoint_id,omitempty"`

	Endpoint  string `json:"endpoint,omitempty"`  // the listener's address
	Host      string `json:"host,omitempty"`      // that the newest asked for (SNI)
	Mechanism string `json:"mechanism,omitempty"` // SASL
	User      string `json:"user,omitempty"`      // only one that there is
	Reason    string `json:"reason"`              // id
}

// refusalsKey is a stream, each entry one Refusal as JSON. Those of no instance
// have one of their own.
func refusalsKey(id InstanceID) string {
	if id == "" {
		return "weir:{weir}:refused"
	}
	return "weir:{" + string(id) + "}:refused"
}

// AddRefusals keeps at most MaxRefusals of them, in one round trip (one for each
// node of a Cluster). Some may have been written when it fails.
func (s *Store) AddRefusals(ctx context.Context, refusals []Refusal, now time.Time) error {
	if len(refusals) > MaxRefusals {
		return fmt.Errorf("keeping %d refusals: %d are the most at once", len(refusals), MaxRefusals)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	touched := map[InstanceID]bool{}
	oldest := fmt.Sprintf("%d-0", now.Add(-RefusalsKept).UnixMilli())
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, r := range refusals {
			raw, err := json.Marshal(r)
			if err != nil {
				return err
			}
			p.XAdd(ctx, &redis.XAddArgs{
				Stream: refusalsKey(r.Instance), MaxLen: refusalsLen, Approx: true, Values: []any{refusalField, raw},
			})
			touched[r.Instance] = true
		}
		for id := range touched {
			p.XTrimMinIDApprox(ctx, refusalsKey(id), oldest, 0)
			p.Expire(ctx, refusalsKey(id), refusalsTTL)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping %d refusals: %w", len(refusals), err)
	}
	return nil
}

// ErrCursor is of an after that no list has given out.
var ErrCursor = errors.New("is not a cursor of this list")

// Refusals reads, newest first, at most limit (1 to MaxRefusals, else MaxRefusals)
// of what was written since then and before the entry after ("": the newest). next
// is "" at the end, else what to give as after. Of instance "": those of none.
func (s *Store) Refusals(ctx context.Context, id InstanceID, since time.Time, after string, limit int) (page []Refusal, next string, err error) {
	if limit < 1 || limit > MaxRefusals {
		limit = MaxRefusals
	}
	newest := "+"
	if after != "" {
		if !isStreamID(after) {
			return nil, "", fmt.Errorf("%.40q %w", after, ErrCursor)
		}
		newest = "(" + after
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	oldest := fmt.Sprintf("%d-0", max(0, since.UnixMilli()))
	found, err := s.rdb.XRevRangeN(ctx, refusalsKey(id), newest, oldest, int64(limit)+1).Result()
	if err != nil {
		return nil, "", fmt.Errorf("reading refusals of instance %s: %w", cmp.Or(string(id), "(none)"), err)
	}
	for _, m := range found[:min(limit, len(found))] {
		raw, _ := m.Values[refusalField].(string)
		r := Refusal{}
		if err := json.Unmarshal([]byte(raw), &r); err != nil {
			return nil, "", fmt.Errorf("refusal %s of instance %s in redis is broken: %w", m.ID, cmp.Or(string(id), "(none)"), err)
		}
		r.ID, r.Instance = m.ID, id
		page = append(page, r)
	}
	if len(found) > limit {
		next = page[limit-1].ID
	}
	return page, next, nil
}

// isStreamID reports whether text is the id of an entry of a stream.
func isStreamID(text string) bool {
	return len(text) <= 41 && regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`).MatchString(text)
}
