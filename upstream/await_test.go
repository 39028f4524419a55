package upstream

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerer answers every Metadata request alike.
type answerer struct {
	topics []kmsg.MetadataResponseTopic
	err    error
}

func (a answerer) Request(context.Context, kmsg.Request) (kmsg.Response, error) {
	return &kmsg.MetadataResponse{Topics: a.topics}, a.err
}

func TestListed(t *testing.T) {
	led := []kmsg.MetadataResponseTopicPartition{{Leader: 1}}
	for name, test := range map[string]struct {
		broker answerer
		want   bool
	}{
		"known and led":         {answerer{topics: []kmsg.MetadataResponseTopic{{Partitions: led}}}, true},
		"unknown":               {answerer{topics: []kmsg.MetadataResponseTopic{{ErrorCode: 3}}}, false},
		"no partitions yet":     {answerer{topics: []kmsg.MetadataResponseTopic{{}}}, false},
		"no leader yet":         {answerer{topics: []kmsg.MetadataResponseTopic{{Partitions: []kmsg.MetadataResponseTopicPartition{{Leader: -1}}}}}, false},
		"the second is unknown": {answerer{topics: []kmsg.MetadataResponseTopic{{Partitions: led}, {ErrorCode: 3}}}, false},
		"a broker that is down": {answerer{err: errors.New("down")}, true},
	} {
		if got := listed(t.Context(), test.broker, []string{"a", "b"}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
