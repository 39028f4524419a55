package rewrite

import "encoding/binary"

// Where a record batch's header has what concerns us, in bytes from its start, and
// magic 2 (Kafka's DefaultRecordBatch; the older MessageSet of magic 0 and 1 has the
// first 17 bytes in common). Numbers are big-endian.
const (
	batchLengthAt  = 8  // i32, of what follows this field
	batchMagicAt   = 16 // i8
	attributesAt   = 21 // i16
	maxTimestampAt = 35 // i64
	producerIDAt   = 43 // i64; -1: not idempotent
	recordCountAt  = 57 // i32

	batchLeast  = 17 // up to and with magic
	batchHeader = 61 // of magic 2

	attributeTransactional = 1 << 4
	attributeControl       = 1 << 5
)

// batch begins with the header of a record batch, at least batchLeast bytes of it.
type batch []byte

// size is the whole batch's in bytes, as its header says; below batchLeast it is none.
func (b batch) size() int64 {
	return batchLengthAt + 4 + int64(int32(binary.BigEndian.Uint32(b[batchLengthAt:])))
}

func (b batch) old() bool           { return b[batchMagicAt] < 2 }
func (b batch) control() bool       { return b.attributes()&attributeControl != 0 }
func (b batch) transactional() bool { return b.attributes()&attributeTransactional != 0 }
func (b batch) idempotent() bool    { return int64(binary.BigEndian.Uint64(b[producerIDAt:])) >= 0 }
func (b batch) attributes() uint16  { return binary.BigEndian.Uint16(b[attributesAt:]) }
func (b batch) maxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[maxTimestampAt:])) }

// records is record_count, not last_offset_delta+1, which is wrong after compaction.
func (b batch) records() int32 { return max(0, int32(binary.BigEndian.Uint32(b[recordCountAt:]))) }

// producedBatch is the record batch that a partition's records field of a Produce
// request has, exactly one of magic 2 (ProduceRequest.validateRecords); ok is false for
// anything else, which no broker appends. What may follow it is not appended either
// (UnifiedLog.trimInvalidBytes). record_count is held against the records by the broker
// (LogValidator.validateBatch).
func producedBatch(records []byte) (b batch, ok bool) {
	if len(records) < batchHeader || records[batchMagicAt] != 2 {
		return nil, false
	}
	size := batch(records).size()
	if size < batchHeader || size > int64(len(records)) {
		return nil, false
	}
	return batch(records[:size]), true
}

// fetchedRecords counts the records in a records field of a fetch's answer by the
// headers of its batches. Control batches count nothing, as no client sees them; a batch
// that is cut short at the end, as brokers may leave it, counts nothing either, since
// clients read it again. An entry of the old formats counts as one, though a compressed
// one holds more. What is not a batch ends the count.
func fetchedRecords(records []byte) int64 {
	var n int64
	for len(records) >= batchLeast {
		b := batch(records)
		size := b.size()
		if size < batchLeast || size > int64(len(records)) {
			break
		}
		switch {
		case b.old():
			n++
		case size >= batchHeader && !b.control():
			n += int64(b.records())
		}
		records = records[size:]
	}
	return n
}
