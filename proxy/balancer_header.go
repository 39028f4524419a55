package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"weir/tenancy"
)

// The PROXY protocol, https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt;
// the numbers are those of its chapters.
const (
	signV1  = "PROXY "                 // 2.1
	signV2  = "\r\n\r\n\x00\r\nQUIT\n" // 2.2
	minV1   = len("PROXY UNKNOWN\r\n") // the shortest line
	maxV1   = 107                      // the longest line, 2.1
	fixedV2 = 16                       // sign, command, family, and the length of what follows
	maxV2   = 2048                     // bytes in all: addresses and ids take 200 at most, a client's certificate (2.2.6) some 1,500
	sizeV4  = 2*4 + 2*2                // two addresses, two ports
	sizeV6  = 2*16 + 2*2
)

// header is what a PROXY header says.
type header struct {
	// local says that the balancer speaks for itself: a health check.
	local bool
	from  tenancy.From // zero if local
}

// parseHeader reads a whole header, as transport.header returns it. The library
// reads version 1 and what is fixed in version 2; the rules for it, and the TLVs,
// are ours. It refuses whatever is no TCP connection of a client with an address.
func parseHeader(raw []byte, custom *EndpointTLV) (header, error) {
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw)))
	if err != nil {
		return header{}, err
	}
	local, tlvs := h.Command.IsLocal(), tlvsOf(raw, h)
	switch {
	case whole(tlvs):
		err = checkSum(raw, tlvs)
	case !local: // there it is a block to be skipped, 2.2
		err = errors.New("its last TLV is cut")
	}
	if err != nil || local {
		return header{local: local && err == nil}, err
	}
	addr, err := sourceOf(h)
	if err != nil {
		return header{}, err
	}
	endpoint, err := endpointOf(tlvs, custom)
	if err != nil {
		return header{}, err
	}
	return header{from: tenancy.From{Addr: addr, Endpoint: endpoint}}, nil
}

// sourceOf is the client's address.
func sourceOf(h *proxyproto.Header) (netip.Addr, error) {
	if t := h.TransportProtocol; t != proxyproto.TCPv4 && t != proxyproto.TCPv6 {
		return netip.Addr{}, fmt.Errorf("family 0x%02x is neither TCP over IPv4 nor over IPv6", byte(t))
	}
	tcp, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, errors.New("no source address")
	}
	addr := addrOf(tcp)
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("source %s is no address of a client", addr)
	}
	return addr, nil
}

// tlvsOf is the part of a header behind the addresses; empty in version 1.
func tlvsOf(raw []byte, h *proxyproto.Header) []byte {
	begin := fixedV2
	switch {
	case h.Version != 2:
		return nil
	case h.TransportProtocol.IsIPv4():
		begin += sizeV4
	case h.TransportProtocol.IsIPv6():
		begin += sizeV6
	}
	return raw[min(begin, len(raw)):]
}

// fields yields the TLVs, 2.2.7: one byte type, two bytes length, value. It ends
// at one that is cut.
func fields(tlvs []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(tlvs) >= 3 {
			size := 3 + int(binary.BigEndian.Uint16(tlvs[1:]))
			if size > len(tlvs) || !yield(tlvs[0], tlvs[3:size]) {
				return
			}
			tlvs = tlvs[size:]
		}
	}
}

// whole reports whether no TLV is cut.
func whole(tlvs []byte) bool {
	n := 0
	for _, value := range fields(tlvs) {
		n += 3 + len(value)
	}
	return n == len(tlvs)
}

// checkSum checks the CRC32C of the header, where it has one: over all of it, the
// sum itself counting as 0 (2.2.3).
func checkSum(raw, tlvs []byte) error {
	seen := false
	for kind, value := range fields(tlvs) {
		if kind != byte(proxyproto.PP2_TYPE_CRC32C) {
			continue
		}
		if seen || len(value) != crc32.Size {
			return errors.New("more than one checksum, or one that is not 4 bytes long")
		}
		seen = true
		said := binary.BigEndian.Uint32(value)
		clear(value)
		is := crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli))
		binary.BigEndian.PutUint32(value, said)
		if said != is {
			return fmt.Errorf("its checksum is %08x, it says %08x", is, said)
		}
	}
	return nil
}
