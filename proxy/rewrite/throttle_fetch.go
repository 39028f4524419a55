package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// LowerMaxBytes bounds what the answer to a Fetch or ShareFetch may hold to most
// bytes (max_bytes; a batch that is larger still comes alone: KIP-74), unless the
// request says less itself. request is what is sent to the broker, in pieces, and
// is changed in place. Other keys stay as they are.
func LowerMaxBytes(key, version int16, request [][]byte, most int32) {
	at := spot{rest: request}
	switch kmsg.Key(key) {
	case kmsg.Fetch:
		if version <= 14 {
			at.skip(4) // replica_id
		}
	case kmsg.ShareFetch:
		at.str()   // group_id
		at.str()   // member_id
		at.skip(4) // share_session_epoch
	default:
		return
	}
	at.skip(8) // max_wait_ms, min_bytes
	at.lower(most)
}
