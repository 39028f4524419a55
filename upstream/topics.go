package upstream

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"weir/tenancy"
)

const (
	// maxTopicIDs bounds the id map: 200,000 entries of about 100 bytes are 20
	// MiB, and more topics than a KRaft cluster is usually given.
	maxTopicIDs = 200_000
	// maxUnknownIDs bounds the ids that are known not to exist, and those being asked for.
	maxUnknownIDs = 10_000
	// maxAskedFor is how many ids may wait to be asked for on behalf of one asker.
	maxAskedFor = 1000
	// unknownFor is how long an id that the pool did not know is not asked for
	// again; also the longest that a topic made elsewhere stays unknown to us.
	unknownFor = time.Second
	// resolveWait is the longest a caller waits for the pool to be asked.
	resolveWait = 2 * time.Second
	// resolvesPerSecond and resolveBatch bound what ids invented by clients cost a pool.
	resolvesPerSecond = 20
	resolveBatch      = 500
	// metadataByID is the first Metadata that answers for ids (KIP-516).
	metadataByID = 12
)

type topicID = [16]byte

// lookup is an id that an asker wants to know the name of.
type lookup struct {
	asker string
	id    topicID
}

// topicIDs maps ids to names. It is never wrong, because an id never changes
// its name; an entry whose topic was deleted is harmless, since the broker
// answers for it. Bounded; what is dropped is asked for again.
type topicIDs struct {
	max, maxUnknown int
	wake            chan struct{} // cap 1: something is pending

	names struct {
		sync.RWMutex
		m map[topicID]string
	}
	mu      sync.Mutex               // never held over I/O
	unknown map[lookup]time.Time     // not in the pool, or not the asker's, until then
	pending map[lookup]chan struct{} // to be asked for; closed when there is an answer
	queues  map[string][]topicID     // the same by asker, oldest first; none is empty
}

func newTopicIDs(maxKnown, maxUnknown int) *topicIDs {
	t := &topicIDs{
		max: maxKnown, maxUnknown: maxUnknown, wake: make(chan struct{}, 1),
		unknown: make(map[lookup]time.Time),
		pending: make(map[lookup]chan struct{}),
		queues:  make(map[string][]topicID),
	}
	t.names.m = make(map[topicID]string)
	return t
}

// LearnTopic records that id is name, as seen in an answer of a broker.
func (p *Pool) LearnTopic(id [16]byte, name string) { p.topics.learn(id, name) }

// TopicName returns the name of an id that is known without asking. Cheap, for every exchange.
func (p *Pool) TopicName(id [16]byte) (name string, ok bool) { return p.topics.name(id) }

// TopicNames returns the physical names of those ids that exist. The pool is
// asked only for ids that are not known yet: one request at a time for all
// callers, 20 a second at most, and askers (instances) have equal parts of each,
// so that one that invents ids holds up only itself. A caller waits 2s at most,
// and an id for which there was no answer by then counts as not existing. A pool
// without Metadata v12 knows no ids but those that were learned.
//
// An id whose name is not the asker's is asked for as if it were not
// known: else the time that it takes would tell an instance which ids others
// have.
func (p *Pool) TopicNames(ctx context.Context, asker tenancy.Namespace, ids [][16]byte) map[[16]byte]string {
	found := make(map[topicID]string, len(ids))
	var missing []topicID
	for _, id := range ids {
		name, ok := p.topics.name(id)
		if ok {
			found[id] = name
		}
		if _, own := asker.Virtual(tenancy.KindTopic, name); !own {
			missing = append(missing, id)
		}
	}
	if v, ok := p.Versions(int16(kmsg.Metadata)); len(missing) == 0 || !ok || v.Max < metadataByID {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	for _, answered := range p.topics.want(asker.Prefix(), missing, time.Now()) {
		select {
		case <-answered:
		case <-ctx.Done():
		}
	}
	for _, id := range missing {
		if name, ok := p.topics.name(id); ok {
			found[id] = name
		}
	}
	return found
}

// resolveTopics asks the pool for pending ids until ctx ends.
func (p *Pool) resolveTopics(ctx context.Context) {
	limit := rate.NewLimiter(resolvesPerSecond, 1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.topics.wake:
		}
		for {
			if limit.Wait(ctx) != nil {
				return
			}
			batch := p.topics.take(resolveBatch)
			if len(batch) == 0 {
				break
			}
			err := p.resolve(ctx, batch)
			p.topics.finish(batch, err == nil, time.Now())
		}
	}
}

// resolve learns the names of those ids that the pool has.
func (p *Pool) resolve(ctx context.Context, batch []lookup) error {
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	seen := make(map[topicID]bool, len(batch))
	for _, l := range batch {
		if seen[l.id] {
			continue
		}
		seen[l.id] = true
		t := kmsg.NewMetadataRequestTopic()
		t.TopicID = l.id
		req.Topics = append(req.Topics, t)
	}
	resp, err := p.askOne(ctx, req)
	if err != nil {
		p.cfg.Log.Warn("topic ids could not be looked up", "ids", len(req.Topics), "err", err)
		return err
	}
	p.learnAll(resp.(*kmsg.MetadataResponse))
	return nil
}

func (p *Pool) learnAll(resp *kmsg.MetadataResponse) {
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 && t.Topic != nil {
			p.topics.learn(t.TopicID, *t.Topic)
		}
	}
}

func (t *topicIDs) name(id topicID) (string, bool) {
	t.names.RLock()
	defer t.names.RUnlock()
	name, ok := t.names.m[id]
	return name, ok
}

func (t *topicIDs) learn(id topicID, name string) {
	if id == (topicID{}) || name == "" { // brokers without ids send zero
		return
	}
	if known, ok := t.name(id); ok && known == name {
		return
	}
	t.names.Lock()
	for old := range t.names.m { // Go's map order is random enough for an eviction
		if len(t.names.m) < t.max {
			break
		}
		delete(t.names.m, old)
	}
	t.names.m[id] = name
	t.names.Unlock()
}

// want returns what to wait for until ids have been asked for. An id that is
// known not to exist, or finds no room, has nothing to wait for.
func (t *topicIDs) want(asker string, ids []topicID, now time.Time) []<-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait []<-chan struct{}
	for _, id := range ids {
		l := lookup{asker, id}
		if now.Before(t.unknown[l]) || id == (topicID{}) {
			continue
		}
		c := t.pending[l]
		if c == nil {
			if len(t.pending) >= t.maxUnknown || len(t.queues[asker]) >= maxAskedFor {
				continue
			}
			c = make(chan struct{})
			t.pending[l] = c
			t.queues[asker] = append(t.queues[asker], id)
		}
		wait = append(wait, c)
	}
	if len(wait) > 0 {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return wait
}

// take returns up to n ids that are to be asked for now, in equal parts of those
// who ask. finish comes before the next take.
func (t *topicIDs) take(n int) []lookup {
	t.mu.Lock()
	defer t.mu.Unlock()
	var batch []lookup
	for len(batch) < n && len(t.queues) > 0 {
		part := max(1, (n-len(batch))/len(t.queues))
		for asker, queue := range t.queues {
			k := min(part, len(queue), n-len(batch))
			for _, id := range queue[:k] {
				batch = append(batch, lookup{asker, id})
			}
			if t.queues[asker] = queue[k:]; len(queue) == k {
				delete(t.queues, asker)
			}
		}
	}
	return batch
}

// finish releases who waits for batch. If it was answered, what is still
// nameless, or is somebody else's, is not asked for again by the same asker until unknownFor has passed.
func (t *topicIDs) finish(batch []lookup, answered bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range batch {
		if name, ok := t.name(l.id); answered && (!ok || !strings.HasPrefix(name, l.asker)) {
			t.forgetOne(now)
			t.unknown[l] = now.Add(unknownFor)
		}
		close(t.pending[l])
		delete(t.pending, l)
	}
}

// forgetOne makes room in unknown: expired entries first, else any.
func (t *topicIDs) forgetOne(now time.Time) {
	if len(t.unknown) < t.maxUnknown {
		return
	}
	for l, until := range t.unknown {
		if !now.Before(until) {
			delete(t.unknown, l)
		}
	}
	for l := range t.unknown {
		if len(t.unknown) < t.maxUnknown {
			return
		}
		delete(t.unknown, l)
	}
}
