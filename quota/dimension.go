package quota

import "weir/tenancy"

// Dimension is what a rate is a rate of.
type Dimension uint8

// Dimensions, and what n is where they are spent.
const (
	ProduceBytes       Dimension = iota // bytes of a Produce frame
	FetchBytes                          // bytes of a Fetch or ShareFetch answer
	Requests                            // requests
	RequestTime                         // microseconds that a gateway worked
	ConnectionAttempts                  // connections
	TopicMutations                      // partitions created or deleted
	dimensions
)

var limitOf = [dimensions]tenancy.LimitName{ //nolint:gochecknoglobals // read-only table
	ProduceBytes:       tenancy.LimitProduceBytes,
	FetchBytes:         tenancy.LimitFetchBytes,
	Requests:           tenancy.LimitRequests,
	RequestTime:        tenancy.LimitRequestTime,
	ConnectionAttempts: tenancy.LimitConnectionAttempts,
	TopicMutations:     tenancy.LimitTopicMutations,
}

// Limit is the limit that bounds a dimension.
func (d Dimension) Limit() tenancy.LimitName { return limitOf[d] }

func (d Dimension) String() string { return string(limitOf[d]) }

// perSecond is a limit's value in units of its dimension: percent of a core are
// 10,000 microseconds each.
func (d Dimension) perSecond(value float64) float64 {
	if d == RequestTime {
		return value * 10_000
	}
	return value
}
