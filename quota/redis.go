package quota

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Keys. Those of an instance share a slot of Redis Cluster. All end by themselves: an
// instance that nobody uses leaves nothing.
//
//	weir:{<instance>}:quota:<bucket>  hash: tokens, at, @<gateway> -> its report (scripts/lease.lua); kept until it would be full, and bucketTTL more
//	weir:{<instance>}:peaks           hash: "<bucket> <hour of the day>" -> "<hour> <most>"; 25 hours
//	weir:{<instance>}:places          hash: gateway -> places for connections that it has; placesTTL
//	weir:{weir}:lenders               hash: gateway -> unix us of its newest beat; 1 minute
const keyLenders = "weir:{weir}:lenders"

const (
	bucketTTL = 10 * time.Second
	placesTTL = 3 * placesEvery
)

func bucketKeyOf(id tenancy.InstanceID, bucket string) string {
	return "weir:{" + string(id) + "}:quota:" + bucket
}
func peaksKey(id tenancy.InstanceID) string  { return "weir:{" + string(id) + "}:peaks" }
func placesKey(id tenancy.InstanceID) string { return "weir:{" + string(id) + "}:places" }

// Scripts, run by EVALSHA (see tenancy/redis.go).
var (
	//go:embed scripts/lease.lua
	leaseLua string
	//go:embed scripts/places.lua
	placesLua string
	//go:embed scripts/beat.lua
	beatLua string
)

// Redis is the Lender that all gateways share. By Redis's own clock.
type Redis struct {
	rdb                 redis.UniversalClient
	lease, places, beat *redis.Script
}

// NewRedis returns the Lender in a Redis.
func NewRedis(rdb redis.UniversalClient) *Redis {
	return &Redis{rdb: rdb, lease: redis.NewScript(leaseLua), places: redis.NewScript(placesLua), beat: redis.NewScript(beatLua)}
}

// Settle is Lender's: one pipeline, with one script for each instance.
func (r *Redis) Settle(ctx context.Context, round *Round) error {
	err := r.settle(ctx, round)
	if !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return err
	}
	for _, s := range []*redis.Script{r.lease, r.places, r.beat} { // a Redis that has just started
		if err := r.load(ctx, s); err != nil {
			return fmt.Errorf("quotas: scripts: %w", err)
		}
	}
	return r.settle(ctx, round)
}

// load loads a script on every master: EVALSHA may go to any.
func (r *Redis) load(ctx context.Context, s *redis.Script) error {
	if c, ok := r.rdb.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return s.Load(ctx, node).Err() })
	}
	return s.Load(ctx, r.rdb).Err()
}

func (r *Redis) settle(ctx context.Context, round *Round) error {
	p := r.rdb.Pipeline()
	var beat *redis.Cmd
	if round.Beat {
		beat = r.beat.EvalSha(ctx, p, []string{keyLenders}, round.Gateway, flag(round.Leaves))
	}
	leases, taken := make([]*redis.Cmd, len(round.Asks)), make([]*redis.Cmd, len(round.Asks))
	for i, ask := range round.Asks {
		if ask.Settled {
			continue
		}
		if len(ask.Buckets) > 0 {
			keys, args := leaseArgs(round, ask)
			leases[i] = r.lease.EvalSha(ctx, p, keys, args...)
		}
		if ask.Places != nil {
			taken[i] = r.places.EvalSha(ctx, p, []string{placesKey(ask.Instance)}, placeArgs(round, ask.Places)...)
		}
	}
	_, err := p.Exec(ctx)
	if beat != nil && beat.Err() == nil {
		err = errors.Join(err, readBeat(beat, round))
	}
	for i, ask := range round.Asks {
		if e := readAsk(ask, leases[i], taken[i]); err == nil {
			err = e
		}
	}
	if err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return fmt.Errorf("quotas: leases: %w", err)
	}
	return err
}

func leaseArgs(round *Round, ask *InstanceAsk) (keys []string, args []any) {
	args = append(args, round.Gateway, round.Epoch, round.Seq)
	for _, a := range ask.Buckets {
		keys = append(keys, bucketKeyOf(ask.Instance, a.Bucket))
		name := ""
		if a.Own {
			name = a.Bucket
		}
		args = append(args, name, exact(a.Rate), exact(a.Burst), exact(a.Demand), exact(a.Admitted), exact(a.Want), exact(a.Back),
			flag(a.Leave), bucketTTL.Milliseconds())
	}
	return append(keys, peaksKey(ask.Instance)), args
}

func placeArgs(round *Round, p *PlaceAsk) []any {
	args := []any{round.Gateway, round.Epoch, round.Seq, p.Limit, p.Used, p.Wanted, placesTTL.Milliseconds(), flag(p.Alive != nil)}
	for _, name := range p.Alive {
		args = append(args, name)
	}
	return args
}

func exact(x float64) string { return strconv.FormatFloat(x, 'g', 17, 64) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

func readBeat(cmd *redis.Cmd, round *Round) error {
	all, err := cmd.Slice()
	if err != nil || len(all) == 0 {
		return fmt.Errorf("beat answered %v: %w", all, err)
	}
	round.Forgot, round.Alive = all[0] != int64(1), []string{}
	for _, name := range all[1:] {
		round.Alive = append(round.Alive, fmt.Sprint(name))
	}
	return nil
}

func readAsk(ask *InstanceAsk, lease, taken *redis.Cmd) error {
	if ask.Settled || lease == nil && taken == nil {
		return nil
	}
	if lease != nil {
		all, err := lease.StringSlice()
		if err != nil {
			return err
		}
		if ask.Lent, err = readLent(all, len(ask.Buckets)); err != nil {
			return err
		}
	}
	if taken != nil {
		all, err := taken.Int64Slice()
		if err != nil {
			return err
		}
		if len(all) != 2 {
			return fmt.Errorf("places answered %d numbers, not 2", len(all))
		}
		ask.Placed = Placed{Granted: all[0], Others: all[1]}
	}
	ask.Settled = true
	return nil
}

func readLent(all []string, n int) ([]Lent, error) {
	if len(all) != 5*n {
		return nil, fmt.Errorf("lease answered %d numbers for %d buckets", len(all), n)
	}
	lent := make([]Lent, n)
	for i := range lent {
		x, err := floats(all[5*i : 5*i+5])
		if err != nil {
			return nil, err
		}
		lent[i] = Lent{Grant: x[0], Left: x[1], Demand: x[2], Admitted: x[3], Gateways: int(x[4])}
	}
	return lent, nil
}

func floats(text []string) ([]float64, error) {
	all := make([]float64, len(text))
	for i, t := range text {
		var err error
		if all[i], err = strconv.ParseFloat(t, 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Use is Lender's.
func (r *Redis) Use(ctx context.Context, id tenancy.InstanceID) (map[tenancy.LimitName]Use, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*roundTimeout)
	defer cancel()
	p := r.rdb.Pipeline()
	var hashes [dimensions]*redis.MapStringStringCmd
	for d := range dimensions {
		hashes[d] = p.HGetAll(ctx, bucketKeyOf(id, string(d.Limit())))
	}
	most, taken, now := p.HGetAll(ctx, peaksKey(id)), p.HGetAll(ctx, placesKey(id)), p.Time(ctx)
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("use of instance %s: %w", id, err)
	}
	buckets := map[string]*central{}
	for d := range dimensions {
		buckets[string(d.Limit())] = readCentral(hashes[d].Val())
	}
	return useOf(now.Val(), buckets, readPlaces(taken.Val()), readPeaks(most.Val())), nil
}

// readCentral reads what gateways have reported; what cannot be read does not count.
func readCentral(hash map[string]string) *central {
	c := &central{reports: map[string]report{}}
	for field, value := range hash {
		gateway, ok := strings.CutPrefix(field, "@")
		x, err := floats(strings.Fields(value))
		if ok && err == nil && len(x) == 6 {
			c.reports[gateway] = report{epoch: int64(x[0]), seq: int64(x[1]), at: int64(x[2]), demand: x[3], admitted: x[4], grant: x[5]}
		}
	}
	return c
}

func readPlaces(hash map[string]string) places {
	p := places{}
	for gateway, value := range hash {
		if x, err := floats(strings.Fields(value)); err == nil && len(x) == 4 {
			p[gateway] = placed{epoch: int64(x[0]), seq: int64(x[1]), at: int64(x[2]), granted: int64(x[3])}
		}
	}
	return p
}

func readPeaks(hash map[string]string) peaks {
	p := peaks{}
	for field, value := range hash {
		if x, err := floats(strings.Fields(value)); err == nil && len(x) == 2 {
			p[field] = peak{hour: int64(x[0]), most: x[1]}
		}
	}
	return p
}
