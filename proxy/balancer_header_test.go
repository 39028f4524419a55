package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

// Command and family bytes of version 2.
const (
	cmdLocal, cmdProxy                     = 0x20, 0x21
	famUnspec, famTCP4, famUDP4, famTCP6   = 0x00, 0x11, 0x12, 0x21
	famUDP6, famUnix                       = 0x22, 0x31
	tlvAuthority, tlvCRC, tlvNoop, tlvTest = 0x02, 0x03, 0x04, 0xE5
)

// v2 is a header of version 2.
func v2(command, family byte, parts ...string) string {
	body := strings.Join(parts, "")
	fixed := append([]byte(signV2), command, family)
	return string(binary.BigEndian.AppendUint16(fixed, uint16(len(body)))) + body
}

// addrs is the address block for a client's address.
func addrs(src string) string {
	a := netip.MustParseAddr(src)
	dst := netip.MustParseAddr("192.0.2.250")
	if a.Is6() {
		dst = netip.MustParseAddr("2001:db8::fa")
	}
	return string(a.AsSlice()) + string(dst.AsSlice()) + "\x9c\x40\x23\x84"
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// sealed adds a right checksum.
func sealed(command, family byte, parts ...string) string {
	h := []byte(v2(command, family, append(parts, tlv(tlvCRC, "\x00\x00\x00\x00"))...))
	sum := crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(h[len(h)-4:], sum)
	return string(h)
}

// proxyV2 is what most cases are about: a TCP client with TLVs.
func proxyV2(parts ...string) string {
	return v2(cmdProxy, famTCP4, append([]string{addrs("203.0.113.7")}, parts...)...)
}

// wireOf is a connection that receives text and then nothing any more, in reads
// as small as they come, and counts what is taken from it.
type wireOf struct {
	net.Conn
	r    io.Reader
	read int
}

func (w *wireOf) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.read += n
	return n, err
}

func (*wireOf) SetReadDeadline(time.Time) error { return nil }

// readHeader does what meet does with a header from a balancer. read is how many
// bytes were taken from the connection.
func readHeader(text string, custom *EndpointTLV) (version int, h header, read int, err error) {
	w := &wireOf{r: strings.NewReader(text)}
	t := &transport{Conn: w}
	if version, err = t.headerVersion(time.Now()); err != nil || version == 0 {
		return version, h, w.read, err
	}
	raw, err := t.header(version)
	if err != nil {
		return version, h, w.read, err
	}
	h, err = parseHeader(raw, custom)
	return version, h, w.read, err
}

func TestHeadersThatAreBelieved(t *testing.T) {
	text := &EndpointTLV{Cloud: "otc", Type: tlvTest}
	at3 := &EndpointTLV{Cloud: "otc", Type: tlvTest, Offset: 3}
	u32 := &EndpointTLV{Cloud: "otc", Type: tlvTest, Offset: 1, Form: EndpointUint32}
	u64 := &EndpointTLV{Cloud: "otc", Type: tlvTest, Form: EndpointUint64}
	overGCP := &EndpointTLV{Cloud: "ours", Type: 0xE0}
	for name, test := range map[string]struct {
		header string
		custom *EndpointTLV
		addr   string // "": the balancer's own
		cloud  string
		id     string
	}{
		"v1 TCP4":            {"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\r\n", nil, "203.0.113.7", "", ""},
		"v1 TCP4 shortest":   {"PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n", nil, "1.1.1.1", "", ""},
		"v1 TCP6":            {"PROXY TCP6 2001:db8::7 2001:db8::fa 40000 9092\r\n", nil, "2001:db8::7", "", ""},
		"v1 TCP6 longest":    {"PROXY TCP6 2001:0db8:ffff:ffff:ffff:ffff:ffff:ffff 2001:0db8:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", nil, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		"v1 mapped":          {"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.250 1 2\r\n", nil, "203.0.113.7", "", ""},
		"v1 UNKNOWN":         {"PROXY UNKNOWN\r\n", nil, "", "", ""},
		"v1 UNKNOWN, more":   {"PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n", nil, "", "", ""},
		"TCP4":               {proxyV2(), nil, "203.0.113.7", "", ""},
		"TCP6":               {v2(cmdProxy, famTCP6, addrs("2001:db8::7")), nil, "2001:db8::7", "", ""},
		"TCP6 mapped":        {v2(cmdProxy, famTCP6, addrs("::ffff:203.0.113.7")), nil, "203.0.113.7", "", ""},
		"LOCAL":              {v2(cmdLocal, famUnspec), nil, "", "", ""},
		"LOCAL, addresses":   {v2(cmdLocal, famTCP4, addrs("203.0.113.7")), nil, "", "", ""},
		"LOCAL, skipped":     {v2(cmdLocal, famTCP4, "\x03\x00\x01"), nil, "", "", ""},
		"LOCAL, sum":         {sealed(cmdLocal, famUnspec), nil, "", "", ""},
		"LOCAL, endpoint":    {v2(cmdLocal, famTCP4, addrs("203.0.113.7"), tlv(0xEA, "\x01vpce-1")), nil, "", "", ""},
		"unknown TLVs":       {proxyV2(tlv(tlvAuthority, "x"), tlv(0x55, ""), tlv(tlvNoop, "\x00\x00")), nil, "203.0.113.7", "", ""},
		"sum":                {sealed(cmdProxy, famTCP4, addrs("203.0.113.7")), nil, "203.0.113.7", "", ""},
		"sum and endpoint":   {sealed(cmdProxy, famTCP6, addrs("2001:db8::7"), tlv(0xEA, "\x01vpce-0a1b")), nil, "2001:db8::7", "aws", "vpce-0a1b"},
		"aws":                {proxyV2(tlv(0xEA, "\x01vpce-08d2bf15fac5001c9")), nil, "203.0.113.7", "aws", "vpce-08d2bf15fac5001c9"},
		"aws, longest":       {proxyV2(tlv(0xEA, "\x01"+strings.Repeat("v", tenancy.MaxEndpointID))), nil, "203.0.113.7", "aws", strings.Repeat("v", tenancy.MaxEndpointID)},
		"aws, other subtype": {proxyV2(tlv(0xEA, "\x02vpce-1"), tlv(0xEA, "")), nil, "203.0.113.7", "", ""},
		"azure":              {proxyV2(tlv(0xEE, "\x01\x02\x00\x00\x10")), nil, "203.0.113.7", "azure", "268435458"},
		"azure, other":       {proxyV2(tlv(0xEE, "\x02abc")), nil, "203.0.113.7", "", ""},
		"gcp":                {proxyV2(tlv(0xE0, "\xff\xff\xff\xff\xc0\xa8\x64\x02")), nil, "203.0.113.7", "gcp", "18446744072646845442"},
		"text":               {proxyV2(tlv(tlvTest, "marker-7")), text, "203.0.113.7", "otc", "marker-7"},
		"text at 3":          {proxyV2(tlv(tlvTest, "\x00\x00\x01marker-7")), at3, "203.0.113.7", "otc", "marker-7"},
		"uint32":             {proxyV2(tlv(tlvTest, "\x01\x00\x00\x01\x00more")), u32, "203.0.113.7", "otc", "256"},
		"uint64":             {proxyV2(tlv(tlvTest, "\x00\x00\x00\x01\x00\x00\x00\x00")), u64, "203.0.113.7", "otc", "4294967296"},
		"not asked for":      {proxyV2(tlv(tlvTest, "marker-7")), nil, "203.0.113.7", "", ""},
		"instead of gcp":     {proxyV2(tlv(0xE0, "own")), overGCP, "203.0.113.7", "ours", "own"},
		"as long as may be":  {proxyV2(tlv(0x55, strings.Repeat("x", maxV2-fixedV2-sizeV4-3))), nil, "203.0.113.7", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, h, read, err := readHeader(test.header+"\x16\x03\x01", test.custom)
			want := header{local: test.addr == ""}
			if !want.local {
				want.from = tenancy.From{Addr: netip.MustParseAddr(test.addr), Endpoint: tenancy.Endpoint{Cloud: test.cloud, ID: test.id}}
			}
			if err != nil || h != want {
				t.Errorf("%+v, %v, want %+v", h, err, want)
			}
			if read != len(test.header) {
				t.Errorf("%d bytes were read, the header has %d", read, len(test.header))
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	text := &EndpointTLV{Cloud: "otc", Type: tlvTest, Offset: 2}
	u32 := &EndpointTLV{Cloud: "otc", Type: tlvTest, Form: EndpointUint32}
	u64 := &EndpointTLV{Cloud: "otc", Type: tlvTest, Offset: 1, Form: EndpointUint64}
	aws, azure, gcp := tlv(0xEA, "\x01vpce-1"), tlv(0xEE, "\x01\x02\x00\x00\x10"), tlv(0xE0, "12345678")
	wrong := []byte(sealed(cmdProxy, famTCP4, addrs("203.0.113.7"), aws))
	wrong[fixedV2]++ // another client
	for name, test := range map[string]struct {
		header string
		custom *EndpointTLV
	}{
		"v1 no end":            {"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092" + strings.Repeat(" ", 100) + "\r\n", nil},
		"v1 only LF":           {"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\n", nil},
		"v1 other family":      {"PROXY TCP4 2001:db8::7 192.0.2.250 40000 9092\r\n", nil},
		"v1 IPv4 as TCP6":      {"PROXY TCP6 203.0.113.7 192.0.2.250 40000 9092\r\n", nil},
		"v1 UDP":               {"PROXY UDP4 203.0.113.7 192.0.2.250 40000 9092\r\n", nil},
		"v1 lower case":        {"PROXY tcp4 203.0.113.7 192.0.2.250 40000 9092\r\n", nil},
		"v1 zone":              {"PROXY TCP6 fe80::1%lo fe80::2 40000 9092\r\n", nil},
		"v1 port":              {"PROXY TCP4 203.0.113.7 192.0.2.250 65536 9092\r\n", nil},
		"v1 port 0x":           {"PROXY TCP4 203.0.113.7 192.0.2.250 0x50 9092\r\n", nil},
		"v1 octal":             {"PROXY TCP4 0203.0.113.7 192.0.2.250 40000 9092\r\n", nil},
		"v1 a field more":      {"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092 x\r\n", nil},
		"v1 two spaces":        {"PROXY TCP4  203.0.113.7 192.0.2.250 40000 9092\r\n", nil},
		"v1 unspecified":       {"PROXY TCP4 0.0.0.0 192.0.2.250 40000 9092\r\n", nil},
		"v1 multicast":         {"PROXY TCP6 ff02::1 2001:db8::fa 40000 9092\r\n", nil},
		"v1 name":              {"PROXY TCP4 localhost 192.0.2.250 40000 9092\r\n", nil},
		"version 3":            {v2(0x31, famTCP4, addrs("203.0.113.7")), nil},
		"command 2":            {v2(0x22, famTCP4, addrs("203.0.113.7")), nil},
		"UDP4":                 {v2(cmdProxy, famUDP4, addrs("203.0.113.7")), nil},
		"UDP6":                 {v2(cmdProxy, famUDP6, addrs("2001:db8::7")), nil},
		"unix":                 {v2(cmdProxy, famUnix, strings.Repeat("/", 216)), nil},
		"UNSPEC":               {v2(cmdProxy, famUnspec), nil},
		"family 4":             {v2(cmdProxy, 0x41, addrs("203.0.113.7")), nil},
		"protocol 3":           {v2(cmdProxy, 0x13, addrs("203.0.113.7")), nil},
		"addresses cut":        {v2(cmdProxy, famTCP4, addrs("203.0.113.7")[:11]), nil},
		"TCP6 of 4":            {v2(cmdProxy, famTCP6, addrs("203.0.113.7")), nil},
		"unspecified":          {v2(cmdProxy, famTCP4, addrs("0.0.0.0")), nil},
		"unspecified, mapped":  {v2(cmdProxy, famTCP6, addrs("::ffff:0.0.0.0")), nil},
		"multicast":            {v2(cmdProxy, famTCP4, addrs("224.0.0.1")), nil},
		"multicast, mapped":    {v2(cmdProxy, famTCP6, addrs("::ffff:224.0.0.1")), nil},
		"too long":             {proxyV2(tlv(0x55, strings.Repeat("x", maxV2-fixedV2-sizeV4-2))), nil},
		"LOCAL, too long":      {v2(cmdLocal, famUnspec, strings.Repeat("x", maxV2)), nil},
		"one byte behind":      {proxyV2("\x00"), nil},
		"two bytes behind":     {proxyV2(tlv(0x55, "x"), "\x00\x00"), nil},
		"TLV cut":              {proxyV2("\x55\x00\x02x"), nil},
		"TLV far too long":     {proxyV2("\x55\xff\xff"), nil},
		"wrong sum":            {string(wrong), nil},
		"LOCAL, wrong sum":     {v2(cmdLocal, famUnspec, tlv(tlvCRC, "1234")), nil},
		"two sums":             {sealed(cmdProxy, famTCP4, addrs("203.0.113.7"), tlv(tlvCRC, "\x00\x00\x00\x00")), nil},
		"sum of 3 bytes":       {proxyV2(tlv(tlvCRC, "123")), nil},
		"aws twice":            {proxyV2(aws, aws), nil},
		"aws and azure":        {proxyV2(aws, azure), nil},
		"azure and gcp":        {proxyV2(azure, gcp), nil},
		"aws and ours":         {proxyV2(aws, tlv(tlvTest, "\x00\x00x")), text},
		"ours twice":           {proxyV2(tlv(tlvTest, "1234"), tlv(tlvTest, "1234")), u32},
		"aws, empty":           {proxyV2(tlv(0xEA, "\x01")), nil},
		"aws, too long":        {proxyV2(tlv(0xEA, "\x01"+strings.Repeat("v", tenancy.MaxEndpointID+1))), nil},
		"aws, newline":         {proxyV2(tlv(0xEA, "\x01vpce-1\n")), nil},
		"aws, space":           {proxyV2(tlv(0xEA, "\x01vpce 1")), nil},
		"aws, NUL":             {proxyV2(tlv(0xEA, "\x01vpce-1\x00")), nil},
		"aws, not ASCII":       {proxyV2(tlv(0xEA, "\x01vpc\u00e9-1")), nil},
		"azure, 3 bytes":       {proxyV2(tlv(0xEE, "\x01\x02\x00\x00")), nil},
		"azure, 5 bytes":       {proxyV2(tlv(0xEE, "\x01\x02\x00\x00\x00\x00")), nil},
		"gcp, 7 bytes":         {proxyV2(tlv(0xE0, "1234567")), nil},
		"ours before offset":   {proxyV2(tlv(tlvTest, "x")), text},
		"ours, empty":          {proxyV2(tlv(tlvTest, "xx")), text},
		"ours, 3 of 4 bytes":   {proxyV2(tlv(tlvTest, "123")), u32},
		"ours, 7 of 8 bytes":   {proxyV2(tlv(tlvTest, "x1234567")), u64},
		"endpoint before junk": {proxyV2(aws, "\x55\x00"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			version, h, _, err := readHeader(test.header+"\x16\x03\x01", test.custom)
			if version == 0 || err == nil || h != (header{}) {
				t.Errorf("version %d, %+v, %v; want a header that is refused", version, h, err)
			}
		})
	}
}

// A header that ends early is no header, wherever it ends.
func TestHeadersThatAreCut(t *testing.T) {
	for _, whole := range []string{
		"PROXY TCP6 2001:db8::7 2001:db8::fa 40000 9092\r\n", "PROXY UNKNOWN\r\n", proxyV2(), v2(cmdLocal, famTCP4, "skipped"),
		sealed(cmdProxy, famTCP6, addrs("2001:db8::7"), tlv(0xEA, "\x01vpce-1"), tlv(tlvAuthority, "x")),
	} {
		for n := range len(whole) {
			version, h, _, err := readHeader(whole[:n], nil)
			switch {
			case n == 0 && !errors.Is(err, io.EOF):
				t.Errorf("nothing at all: %v", err)
			case n > 0 && err == nil && version != 0 || h != (header{}):
				t.Errorf("%q: version %d, %+v", whole[:n], version, h)
			}
		}
	}
}

// What begins like a header but is none stays for who looks at the first byte.
func TestNoHeader(t *testing.T) {
	for _, text := range []string{"POST / HTTP/1.1\r\n", "PUT", "PROXYTCP4 1.1.1.1", "P", "\x16\x03\x01", "\r\n", "\r\n\r\n\x00\r\nQUIX\n", "\x00\x00\x00\x10"} {
		tr := &transport{Conn: &wireOf{r: strings.NewReader(text)}}
		version, err := tr.headerVersion(time.Now())
		rest, rerr := io.ReadAll(tr)
		if version != 0 || err != nil || rerr != nil || string(rest) != text {
			t.Errorf("%q: version %d, %v; %q is left", text, version, err, rest)
		}
	}
}

// FuzzHeader: whatever arrives, no panic, never more than a header read, and what
// is believed is a client's address and a bounded, printable endpoint.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\r\n", "PROXY UNKNOWN\r\n", proxyV2(tlv(0xEA, "\x01vpce-1")),
		v2(cmdLocal, famUnspec), sealed(cmdProxy, famTCP6, addrs("2001:db8::7"), tlv(0xE0, "12345678")), proxyV2(tlv(tlvTest, "\x01id")),
	} {
		f.Add([]byte(seed), byte(tlvTest), 1, 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, kind byte, offset, form int) {
		custom := &EndpointTLV{Cloud: "otc", Type: kind, Offset: max(0, offset), Form: EndpointForm(form)}
		version, h, read, err := readHeader(string(data), custom)
		if read > maxV2 {
			t.Fatalf("%d bytes were read", read)
		}
		if version == 0 || err != nil {
			if h != (header{}) {
				t.Fatalf("%+v with %v", h, err)
			}
			return
		}
		if again := []byte(data[:read]); version == 2 && (len(again) < fixedV2 || len(again) != fixedV2+int(binary.BigEndian.Uint16(again[14:]))) {
			t.Fatalf("%d bytes were read of %q", read, data)
		}
		if version == 1 && !bytes.HasSuffix(data[:read], []byte("\r\n")) {
			t.Fatalf("%q was read", data[:read])
		}
		a, e := h.from.Addr, h.from.Endpoint
		if h.local != !a.IsValid() || !h.local && (a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.Zone() != "") {
			t.Fatalf("%+v", h)
		}
		if (e.Cloud == "") != (e.ID == "") || len(e.ID) > tenancy.MaxEndpointID || strings.ContainsFunc(e.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("endpoint %+v", e)
		}
	})
}
