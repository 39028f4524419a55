package export

import (
	"fmt"
	"io"
	"strings"

	"weir/metering"
)

// Format is what the files of an export hold, and how.
type Format string

// The formats.
const (
	JSONL         Format = "jsonl"    // usage, a CloudEvent 1.0 a line
	JSONLGzip     Format = "jsonl.gz" // the same, compressed
	CSV           Format = "csv"      // usage
	Parquet       Format = "parquet"  // usage
	FOCUS         Format = "focus"    // charges, as FOCUS 1.2 CSV
	csvType              = "text/csv; charset=utf-8"
	formatVersion        = 1 // of all: one more when a format's bytes change
)

// kind is what there is to know of a format.
type kind struct {
	name        Format
	extension   string
	contentType string
	// usage makes the writer of a file of records; nil: the files are of charges.
	usage func(io.Writer) (encoder, error)
}

// encoder writes one file of records.
type encoder interface {
	add(r *metering.Record) error
	// close writes what is left; it does not close what is written to.
	close() error
}

func kinds() []kind {
	return []kind{
		{JSONL, "jsonl", "application/x-ndjson", newEvents},
		{JSONLGzip, "jsonl.gz", "application/gzip", newGzipEvents},
		{CSV, "csv", csvType, newCSV},
		{Parquet, "parquet", "application/vnd.apache.parquet", newParquet},
		{FOCUS, "csv", csvType, nil},
	}
}

// ParseFormat finds a format by its name.
func ParseFormat(name string) (Format, error) {
	var names []string
	for _, k := range kinds() {
		if string(k.name) == name {
			return k.name, nil
		}
		names = append(names, string(k.name))
	}
	return "", fmt.Errorf("unknown format %.40q: there are %s", name, strings.Join(names, ", "))
}

// kind is that of a format that ParseFormat has found.
func (f Format) kind() kind {
	for _, k := range kinds() {
		if k.name == f {
			return k
		}
	}
	return kind{}
}

// ContentType is the media type of its files.
func (f Format) ContentType() string { return f.kind().contentType }
