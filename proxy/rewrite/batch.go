package rewrite

import "encoding/binary"

// Where a record batch's header has what concerns us, in bytes from its start,
// and magic 2 (Kafka's DefaultRecordBatch; the older MessageSet of magic 0 and 1
// has the first 17 bytes in common). Lengths are big-endian.
const (
	batchLengthAt = 8  // i32, of what follows this field
	batchLeast    = 17 // up to and with magic, which is i8
	batchMagicAt  = 16
	attributesAt  = 21 // i16
	recordCountAt = 57 // i32
	batchHeader   = 61

	attributeControl = 1 << 5
)

// CountRecords counts the records in a records field of Produce or Fetch by
// the batch headers alone. Control batches count nothing, as no client sees
// them; a batch that is cut short at the end, as brokers may leave it in a
// Fetch response, counts nothing either, since clients read it again. An entry
// of the old formats counts as one, though a compressed one holds more.
//
// It counts what the headers say (record_count, not last_offset_delta+1, which
// is wrong after compaction); in a Produce the broker checks that. What is not
// a batch ends the count. Any goroutine.
func CountRecords(records []byte) int64 {
	var n int64
	for len(records) >= batchLeast {
		length := int64(int32(binary.BigEndian.Uint32(records[batchLengthAt:])))
		whole := batchLengthAt + 4 + length
		if whole < batchLeast || whole > int64(len(records)) {
			break
		}
		n += countBatch(records[:whole])
		records = records[whole:]
	}
	return n
}

func countBatch(batch []byte) int64 {
	if batch[batchMagicAt] < 2 {
		return 1
	}
	if len(batch) < batchHeader || binary.BigEndian.Uint16(batch[attributesAt:])&attributeControl != 0 {
		return 0
	}
	return max(0, int64(int32(binary.BigEndian.Uint32(batch[recordCountAt:]))))
}
