package rewrite

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SetThrottle raises throttle_time_ms in a finished answer to ms, if it is lower
// there: the broker has quotas of its own. body is what follows the header, in
// pieces, and is changed in place. Versions without the field stay as they are. It
// does not allocate; for all but Produce from v9 on and ApiVersions from v3 on it
// does not walk either.
func SetThrottle(key, version int16, body [][]byte, ms int32) {
	if key < 0 || int(key) >= len(throttleSince) || version < throttleSince[key] {
		return
	}
	at := spot{rest: body}
	switch kmsg.Key(key) {
	case kmsg.Produce:
		at.behindTopics(version)
	case kmsg.ApiVersions:
		at.behindKeys(version)
	case kmsg.OffsetDelete:
		at.skip(2) // error_code
	case kmsg.CreateDelegationToken, kmsg.RenewDelegationToken, kmsg.ExpireDelegationToken, kmsg.DescribeDelegationToken:
		at.fromEnd(version >= 2)
	}
	at.raise(ms)
}

// never is a version that there is not.
const never = 1 << 14

// throttleSince is the lowest version of each key's answer that has
// throttle_time_ms; a test holds it to what kmsg encodes.
var throttleSince = [kmsg.MaxKey + 1]int16{ //nolint:gochecknoglobals // read-only table
	kmsg.ListOffsets: 2, kmsg.Metadata: 3, kmsg.OffsetCommit: 3, kmsg.OffsetFetch: 3, kmsg.FindCoordinator: 1,
	kmsg.JoinGroup: 2, kmsg.Heartbeat: 1, kmsg.LeaveGroup: 1, kmsg.SyncGroup: 1, kmsg.DescribeGroups: 1, kmsg.ListGroups: 1,
	kmsg.ApiVersions: 1, kmsg.SASLHandshake: never, kmsg.SASLAuthenticate: never, kmsg.DescribeQuorum: never,
}

// spot is a byte in a body of several pieces. Beyond the end it is nowhere: what
// would be read there is 0, what would be written is lost.
type spot struct {
	rest [][]byte // the pieces from the one it is in
	at   int      // in rest[0]; may be its end
}

// settle moves on from the end of a piece to the next one that has bytes; ok is
// false at the end of the body.
func (p *spot) settle() (ok bool) {
	for len(p.rest) > 0 && p.at >= len(p.rest[0]) {
		p.at -= len(p.rest[0])
		p.rest = p.rest[1:]
	}
	return len(p.rest) > 0
}

func (p *spot) skip(n int) { p.at += max(n, 0) }

func (p *spot) byte() byte {
	if !p.settle() {
		return 0
	}
	p.at++
	return p.rest[0][p.at-1]
}

func (p *spot) int(size int) (v int) {
	for range size {
		v = v<<8 | int(p.byte())
	}
	return v
}

// uvarint reads at most 31 bits, as cursor.uvarint has checked them.
func (p *spot) uvarint() (v int) {
	for shift := 0; shift < 35; shift += 7 {
		b := p.byte()
		v |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return v
}

// str steps over a compact string that may be null.
func (p *spot) str() { p.skip(p.uvarint() - 1) }

// tags steps over a section of tagged fields.
func (p *spot) tags() {
	for n := p.uvarint(); n > 0 && p.settle(); n-- {
		p.uvarint()
		p.skip(p.uvarint())
	}
}

// raise writes ms at p unless more is there.
func (p *spot) raise(ms int32) {
	if !p.settle() {
		return
	}
	if b := p.rest[0][p.at:]; len(b) >= 4 {
		if ms > int32(binary.BigEndian.Uint32(b)) {
			binary.BigEndian.PutUint32(b, uint32(ms))
		}
		return
	}
	if is := *p; ms > int32(is.int(4)) {
		p.put(ms)
	}
}

// lower writes n at p unless less is there.
func (p *spot) lower(n int32) {
	if is := *p; is.settle() && n < int32(is.int(4)) {
		p.put(n)
	}
}

func (p *spot) put(v int32) {
	for shift := 24; shift >= 0 && p.settle(); shift -= 8 {
		p.rest[0][p.at] = byte(v >> shift)
		p.at++
	}
}

// fromEnd goes to the last field of a body that has no tagged fields.
func (p *spot) fromEnd(flexible bool) {
	back := 4
	if flexible {
		back++
	}
	for _, piece := range p.rest {
		p.at += len(piece)
	}
	p.at = max(0, p.at-back)
}

// behindTopics goes to what follows the topics of a Produce response.
func (p *spot) behindTopics(version int16) {
	if version < 9 {
		p.fromEnd(false)
		return
	}
	for topics := p.uvarint() - 1; topics > 0 && p.settle(); topics-- {
		if version >= 13 {
			p.skip(16)
		} else {
			p.str()
		}
		for n := p.uvarint() - 1; n > 0 && p.settle(); n-- {
			p.skip(30) // index, error_code, base_offset, log_append_time_ms, log_start_offset
			for e := p.uvarint() - 1; e > 0 && p.settle(); e-- {
				p.skip(4) // batch_index
				p.str()
				p.tags()
			}
			p.str() // error_message
			p.tags()
		}
		p.tags()
	}
}

// behindKeys goes to what follows the keys of an ApiVersions response.
func (p *spot) behindKeys(version int16) {
	if version < 3 {
		p.fromEnd(false)
		return
	}
	p.skip(2) // error_code
	for n := p.uvarint() - 1; n > 0 && p.settle(); n-- {
		p.skip(6) // key, min, max
		p.tags()
	}
}
