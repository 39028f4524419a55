package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// topologyFits refuses a topology whose internal topics are not there and would not
// fit within the instance's limits (STREAMS_INVALID_TOPOLOGY, which ends the client
// with the text). The broker creates them by itself, upon this heartbeat or a later
// one, so that the limits are exact but for what others create at the same time. It
// also decides itself how many partitions a topic gets that leaves it open: at least
// as many as a source has, and so many are counted.
func (x *Exchange) topologyFits(t *topology) (code int16, msg *string) {
	r, err := x.newRoom(x.Ctx, false)
	if err != nil {
		return codeNotAvailable, standardText(codeNotAvailable) // clients try again
	}
	if r == nil {
		return 0, nil
	}
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		sources := int32(1)
		for _, name := range s.SourceTopics {
			if physical, ok := x.physicalTopic(name); ok {
				sources = max(sources, int32(r.have[physical]))
			}
		}
		for _, info := range s.RepartitionSourceTopics {
			sources = max(sources, info.NumPartitions)
		}
		eachInternal(s, func(info *kmsg.TopicInfo) {
			physical, ok := x.physicalTopic(info.Topic)
			if !ok || code != 0 {
				return
			}
			n := info.NumPartitions
			if n == 0 {
				n = sources
			}
			var why *string
			if code, why = r.create(physical, &n); code != 0 {
				code, msg = invalidTopology("Internal topic %s: %s", info.Topic, *why)
			}
		})
	}
	return code, msg
}
