package rewrite

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
	"weir/upstream"
)

// fakePool is a pool of three brokers that holds topics and knows canned
// answers. It notes what it was asked.
type fakePool struct {
	answers map[int16]kmsg.Response // to Request, by API key; absent: an error
	onAsked func(kmsg.Request)      // called with each request; optional

	mu      sync.Mutex
	topics  map[topicID]string // every topic there is, by id
	learned map[topicID]string
	asked   []kmsg.Request
	awaited []string // by AwaitTopics
}

// newFakePool returns a pool that holds topics, each with the id idOf(name).
func newFakePool(topics ...string) *fakePool {
	p := &fakePool{answers: map[int16]kmsg.Response{}, topics: map[topicID]string{}, learned: map[topicID]string{}}
	for _, name := range topics {
		p.topics[idOf(name)] = name
	}
	return p
}

// idOf is the topic id that a physical name has in tests. idOf("") is zero.
func idOf(physical string) topicID {
	if physical == "" {
		return topicID{}
	}
	return md5.Sum([]byte(physical))
}

func (p *fakePool) Brokers() []upstream.Broker {
	var all []upstream.Broker
	for node := range int32(3) {
		rack := fmt.Sprintf("rack%d", node)
		all = append(all, upstream.Broker{Node: node, Host: fmt.Sprintf("broker%d.pool.internal", node), Port: 9092, Rack: &rack})
	}
	return all
}

func (p *fakePool) Controller() int32 { return 1 }

func (p *fakePool) Request(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, req)
	if p.onAsked != nil {
		p.onAsked(req)
	}
	if resp := p.answers[req.Key()]; resp != nil {
		return resp, nil
	}
	return nil, errors.New("no broker answers")
}

func (p *fakePool) TopicNames(_ context.Context, _ tenancy.Namespace, ids []topicID) map[topicID]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := map[topicID]string{}
	for _, id := range ids {
		if name, ok := p.topics[id]; ok {
			names[id] = name
		} else if name, ok := p.learned[id]; ok {
			names[id] = name
		}
	}
	return names
}

func (p *fakePool) LearnTopic(id topicID, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learned[id] = name
}

func (p *fakePool) ListTopics(_ context.Context, prefix string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Values(p.topics)) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (p *fakePool) CountPartitions(_ context.Context, prefix string) (map[string]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := map[string]int{}
	for _, name := range p.topics {
		if strings.HasPrefix(name, prefix) {
			count[name] = 3
		}
	}
	return count, nil
}

// newSession returns a session of instance acme on pool, beside another instance "other".
func newSession(pool Pool) *Session {
	return &Session{
		Space:     tenancy.NewNamespace("acme"),
		ClusterID: "AAAAAAAAAAAAAAAAAAAAAA",
		Principal: "User:alice",
		Counting:  NewCounting(false),
		Pool:      pool,
		Store:     newFakeStore(),
		Instance:  "acme",
		Address: func(node int32) (string, int32) {
			return fmt.Sprintf("b%d-acme.weir.test", node), 9094
		},
		Foreign: func(text string) bool {
			return strings.Contains(text, "other.") || strings.Contains(text, "pool.internal")
		},
		Registered: func(id string) bool { return id == "acme" || id == "other" },
	}
}

func (p *fakePool) AwaitTopics(_ context.Context, names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = append(p.awaited, names...)
}
