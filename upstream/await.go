package upstream

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// awaitLimit is how long new topics are waited for; where brokers need
	// longer, clients find out by themselves, as they do on Kafka.
	awaitLimit = time.Second
	// awaitEvery is between two looks at one broker.
	awaitEvery = 10 * time.Millisecond
)

// AwaitTopics waits until every healthy broker lists these topics with a leader
// for each partition, or about a second has passed. Kafka answers CreateTopics
// before its brokers have heard of the topic; a client that goes on at once is
// then told UNKNOWN_TOPIC_OR_PARTITION, and backs off for longer than this takes.
func (p *Pool) AwaitTopics(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	client, err := p.control(ctx)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	for _, b := range p.candidates() {
		wg.Go(func() {
			for !listed(ctx, client.Broker(int(b.Node)), names) && sleep(ctx, awaitEvery) == nil {
				continue
			}
		})
	}
	wg.Wait()
}

// requester is one broker.
type requester interface {
	Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
}

// listed says whether the broker knows all names and their leaders. A broker
// that does not answer is not waited for.
func listed(ctx context.Context, broker requester, names []string) bool {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	answer, err := broker.Request(ctx, req)
	resp, ok := answer.(*kmsg.MetadataResponse)
	if err != nil || !ok {
		return true
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || len(t.Partitions) == 0 {
			return false
		}
		for _, part := range t.Partitions {
			if part.ErrorCode != 0 || part.Leader < 0 {
				return false
			}
		}
	}
	return true
}
