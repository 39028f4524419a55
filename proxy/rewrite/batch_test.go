package rewrite

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchOf is a record batch of count records, of which none is there.
func batchOf(count int32, attributes int16, payload int) []byte {
	b := kmsg.RecordBatch{Magic: 2, Attributes: attributes, NumRecords: count, LastOffsetDelta: count + 7, Records: make([]byte, payload)}
	b.Length = int32(batchHeader - batchLengthAt - 4 + payload)
	return b.AppendTo(nil)
}

// oldEntry is a message of the formats before record batches.
func oldEntry(magic byte, payload int) []byte {
	b := make([]byte, 17+payload)
	binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(5+payload))
	b[batchMagicAt] = magic
	return b
}

func TestCountRecords(t *testing.T) {
	wild := batchOf(5, 0, 100)
	binary.BigEndian.PutUint32(wild[batchLengthAt:], 1<<31-1)
	negative := batchOf(5, 0, 100)
	binary.BigEndian.PutUint32(negative[batchLengthAt:], 1<<31)
	for name, tc := range map[string]struct {
		records [][]byte
		want    int64
	}{
		"nothing":            {nil, 0},
		"one batch":          {[][]byte{batchOf(3, 0, 40)}, 3},
		"compressed":         {[][]byte{batchOf(300, 4, 1)}, 300},
		"several":            {[][]byte{batchOf(3, 0, 40), batchOf(1, 0, 0), batchOf(2, 16, 9)}, 6},
		"control batch":      {[][]byte{batchOf(3, 0, 40), batchOf(1, attributeControl|16, 30), batchOf(2, 0, 1)}, 5},
		"cut in the records": {[][]byte{batchOf(3, 0, 40), batchOf(9, 0, 40)[:100]}, 3},
		"cut in the header":  {[][]byte{batchOf(3, 0, 40), batchOf(9, 0, 40)[:11]}, 3},
		"old formats":        {[][]byte{oldEntry(0, 20), oldEntry(1, 30), batchOf(2, 0, 1)}, 4},
		"negative count":     {[][]byte{batchOf(-5, 0, 10), batchOf(2, 0, 1)}, 2},
		"length of 2 GiB":    {[][]byte{batchOf(1, 0, 10), wild}, 1},
		"negative length":    {[][]byte{batchOf(1, 0, 10), negative}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := CountRecords(join(tc.records)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func FuzzCountRecords(f *testing.F) {
	f.Add(join([][]byte{batchOf(3, 0, 40), oldEntry(1, 30), batchOf(1, attributeControl, 5)}))
	f.Fuzz(func(t *testing.T, records []byte) {
		if n := CountRecords(records); n < 0 {
			t.Errorf("counted %d records", n)
		}
	})
}
