package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/pires/go-proxyproto/tlvparse"

	"weir/tenancy"
)

// endpointOf is the private endpoint that a header's TLVs name, zero if none. Two
// of them, even equal ones, are an error: a balancer names one, and which of two
// is to be believed nobody could say.
func endpointOf(tlvs []byte, custom *EndpointTLV) (tenancy.Endpoint, error) {
	var found tenancy.Endpoint
	for kind, value := range fields(tlvs) {
		endpoint, err := endpointIn(kind, value, custom)
		switch {
		case err != nil:
			return tenancy.Endpoint{}, fmt.Errorf("TLV 0x%02x: %w", kind, err)
		case endpoint.Cloud == "":
			continue
		case found.Cloud != "":
			return tenancy.Endpoint{}, fmt.Errorf("more than one endpoint: of %s, then of %s", found.Cloud, endpoint.Cloud)
		}
		found = endpoint
	}
	return found, nil
}

// endpointIn is the endpoint that one TLV names, zero if it names none. What the
// configuration says of a type goes before what clouds say.
func endpointIn(kind byte, value []byte, custom *EndpointTLV) (tenancy.Endpoint, error) {
	switch {
	case custom != nil && kind == custom.Type:
		id, err := custom.id(value)
		return tenancy.Endpoint{Cloud: custom.Cloud, ID: id}, err
	case kind == tlvparse.PP2_TYPE_AWS && has(value, tlvparse.PP2_SUBTYPE_AWS_VPCE_ID):
		id, err := textID(value[1:])
		return tenancy.Endpoint{Cloud: tenancy.CloudAWS, ID: id}, err
	case kind == tlvparse.PP2_TYPE_AZURE && has(value, tlvparse.PP2_SUBTYPE_AZURE_PRIVATEENDPOINT_LINKID):
		if len(value) != 1+4 {
			return tenancy.Endpoint{}, fmt.Errorf("a link id of %d bytes, want 4", len(value)-1)
		}
		return tenancy.Endpoint{Cloud: tenancy.CloudAzure, ID: decimal(uint64(binary.LittleEndian.Uint32(value[1:])))}, nil
	case kind == byte(tlvparse.PP2_TYPE_GCP):
		if len(value) != 8 {
			return tenancy.Endpoint{}, fmt.Errorf("a connection id of %d bytes, want 8", len(value))
		}
		return tenancy.Endpoint{Cloud: tenancy.CloudGCP, ID: decimal(binary.BigEndian.Uint64(value))}, nil
	}
	return tenancy.Endpoint{}, nil
}

// has reports whether a value begins with that subtype; others say other things.
func has(value []byte, subtype byte) bool { return bytes.HasPrefix(value, []byte{subtype}) }

// id reads the value of a TLV.
func (e *EndpointTLV) id(value []byte) (string, error) {
	if e.Offset > len(value) {
		return "", fmt.Errorf("%d bytes, the id is to begin at %d", len(value), e.Offset)
	}
	value = value[e.Offset:]
	switch {
	case e.Form == EndpointUint32 && len(value) >= 4:
		return decimal(uint64(binary.BigEndian.Uint32(value))), nil
	case e.Form == EndpointUint64 && len(value) >= 8:
		return decimal(binary.BigEndian.Uint64(value)), nil
	case e.Form == EndpointText:
		return textID(value)
	}
	return "", fmt.Errorf("%d bytes behind offset %d are too few for a number", len(value), e.Offset)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// textID is an id that is a text: printable ASCII without a space, for it is
// compared, logged and shown.
func textID(value []byte) (string, error) {
	if len(value) == 0 || len(value) > tenancy.MaxEndpointID {
		return "", fmt.Errorf("an id of %d bytes, want 1 to %d", len(value), tenancy.MaxEndpointID)
	}
	for _, b := range value {
		if b <= ' ' || b > '~' {
			return "", errors.New("an id that is not printable ASCII")
		}
	}
	return string(value), nil
}
