package tenancy

import "testing"

func TestMeantLimit(t *testing.T) {
	for text, want := range map[string]LimitName{
		"produce_byte_per_second":  LimitProduceBytes,
		"produce_bytes_per_secnd":  LimitProduceBytes,
		"produce_bytes":            LimitProduceBytes,
		"fetch":                    LimitFetchBytes,
		"Topics":                   LimitTopics,
		"topic":                    LimitTopics,       // begins two, is a letter off one
		"producer_byte_rate":       LimitProduceBytes, // Kafka's
		"consumer_byte_rate":       LimitFetchBytes,
		"controller_mutation_rate": LimitTopicMutations,
		"conections":               LimitConnections,
		"connection":               LimitConnections,
		"storage":                  LimitStorageBytes,
		"request":                  "", // of two, and far from both
		"everything":               "",
		"":                         "",
	} {
		if got := MeantLimit(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
