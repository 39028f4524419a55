package metering

import (
	"fmt"
	"slices"
	"strings"

	"weir/tenancy"
)

// Meter is one thing that is counted of an instance. Its number is its place in
// files and in Redis: new ones are added at the end, none is ever taken away.
type Meter uint8

// The meters (operations.md C.2).
const (
	// ProduceBytes are bytes of record batches that brokers have acknowledged, as they
	// came: compressed, with their headers. Counted before the acknowledgement leaves;
	// with acks=0 when the request was forwarded.
	ProduceBytes Meter = iota
	// ProduceRecords are the records in them, by the batches' headers.
	ProduceRecords
	// FetchBytes are bytes of record batches in answers to fetches, counted when the
	// answer is about to be written to the client: whoever hangs up in the middle of
	// one has used it.
	FetchBytes
	// FetchRecords are the records in them, without control records.
	FetchRecords
	// Requests are requests that were answered, or needed no answer.
	Requests
	// RequestBytes and ResponseBytes are whole frames, before TLS.
	RequestBytes
	ResponseBytes
	// ConnectionSeconds are those of open sessions.
	ConnectionSeconds
	// ConnectionAttempts are connections that named the instance, let in or not.
	ConnectionAttempts
	// AuthFailures are those of them that failed to prove who they are.
	AuthFailures
	// PartitionSeconds are partitions times seconds, sampled each minute.
	PartitionSeconds
	// StorageByteSeconds are bytes of the log times seconds, of one replica of each
	// partition, sampled each minute.
	StorageByteSeconds
	// CrossZoneBytes are bytes of frames between this gateway and brokers of another zone.
	CrossZoneBytes
	// TransactionalRecords are those of ProduceRecords that are part of a transaction,
	// whose markers take offsets too: reconciliation needs to know.
	TransactionalRecords

	// Meters is how many there are.
	Meters = iota
)

var meterNames = [Meters]string{ //nolint:gochecknoglobals // read-only table
	"produce_bytes", "produce_records", "fetch_bytes", "fetch_records",
	"requests", "request_bytes", "response_bytes",
	"connection_seconds", "connection_attempts", "auth_failures",
	"partition_seconds", "storage_byte_seconds", "cross_zone_bytes", "transactional_records",
}

// String is the meter's name, as in REST, exports and price books.
func (m Meter) String() string {
	if int(m) >= len(meterNames) {
		return fmt.Sprintf("meter-%d", uint8(m))
	}
	return meterNames[m]
}

// maxMeant is up to how many bytes of a name are compared with known ones.
const maxMeant = 40

// ParseMeter finds a meter by its name.
func ParseMeter(name string) (Meter, error) {
	for m, n := range meterNames {
		if n == name {
			return Meter(m), nil
		}
	}
	if meant := tenancy.DidYouMean(name[:min(len(name), maxMeant)], slices.Values(meterNames[:])); meant != "" {
		return 0, fmt.Errorf("unknown meter %.40q; did you mean %s?", name, meant)
	}
	return 0, fmt.Errorf("unknown meter %.40q: there are %s", name, strings.Join(meterNames[:], ", "))
}

// Values has a number for each meter. Never negative, but in a correction.
type Values [Meters]int64

// Plus is the sum.
func (v Values) Plus(w Values) Values {
	for m := range v {
		v[m] += w[m]
	}
	return v
}

// Minus is the difference.
func (v Values) Minus(w Values) Values {
	for m := range v {
		v[m] -= w[m]
	}
	return v
}

// IsZero reports whether nothing was used.
func (v Values) IsZero() bool { return v == Values{} }
