package tenancy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"sync"
)

// Access is how one instance is reached and by what its clients prove who they
// are, at one moment. Immutable; a view whose access did not change keeps the
// very same pointer, so that what was made of it can be kept too.
type Access struct {
	Authentication Authentication
	Networks       []Network      // in a fixed order
	Issuers        []Issuer       // in order of name
	ClientCAs      []ClientCA     // in order of name
	Hosts          []Host         // in order of name
	Keys           map[string]Key // by id
	Identity       *Identity      // nil: clients use the pool's own principal

	compile  sync.Once
	networks networkTable // of Networks, after compile
	digest   [sha256.Size]byte
	made     [slots]struct {
		once sync.Once
		made any
	}
}

// Slot names who keeps something of an Access.
type Slot int

// The slots, one for each package that compiles an Access.
const (
	SlotAuth Slot = iota
	SlotProxy
	slots
)

// Made returns what the slot's first caller made of the access, and keeps it for
// as long as the access lives. Any goroutine; those that come meanwhile wait.
func (a *Access) Made(slot Slot, make func() any) any {
	m := &a.made[slot]
	m.once.Do(func() { m.made = make() })
	return m.made
}

// Authentication is what an instance asks of its clients beside a right proof.
// The zero value asks nothing: any mechanism, or a certificate alone.
type Authentication struct {
	// Mechanisms that clients may use, of those that the gateway offers; empty: all.
	Mechanisms []string `json:"mechanisms,omitempty"`
	// RequireCertificate refuses who has no certificate of one of the client CAs,
	// whatever else it proves.
	RequireCertificate bool `json:"require_certificate,omitempty"`
	// RequireSASL says that a certificate alone is not enough.
	RequireSASL bool `json:"require_sasl,omitempty"`
}

// accessKinds are the kinds of settings that make an Access.
func accessKinds() []string {
	return []string{
		settingsAuthentication, settingsNetworks, settingsIssuers, settingsClientCAs,
		settingsHosts, settingsKeys, settingsIdentity,
	}
}

// decodeAccess reads all kinds of accessKinds.
func decodeAccess(id InstanceID, beside settings) (*Access, error) {
	a := &Access{digest: digest(beside)}
	policies, err := decodeSettings[Authentication](id, settingsAuthentication, beside[settingsAuthentication])
	if err != nil {
		return nil, err
	}
	for _, p := range policies { // there is one at most
		a.Authentication = p
	}
	if a.Networks, err = decodeNetworks(id, beside[settingsNetworks]); err != nil {
		return nil, err
	}
	if a.Issuers, err = decodeSettings[Issuer](id, settingsIssuers, beside[settingsIssuers]); err != nil {
		return nil, err
	}
	if a.ClientCAs, err = decodeSettings[ClientCA](id, settingsClientCAs, beside[settingsClientCAs]); err != nil {
		return nil, err
	}
	if a.Hosts, err = decodeHosts(id, beside[settingsHosts]); err != nil {
		return nil, err
	}
	keys, err := decodeSettings[Key](id, settingsKeys, beside[settingsKeys])
	if err != nil {
		return nil, err
	}
	a.Keys = make(map[string]Key, len(keys))
	for _, k := range keys {
		a.Keys[k.ID] = k
	}
	identities, err := decodeSettings[Identity](id, settingsIdentity, beside[settingsIdentity])
	if err != nil {
		return nil, err
	}
	for _, i := range identities { // there is one at most
		a.Identity = &i
	}
	return a, nil
}

// digest tells one access from another by what is stored.
func digest(beside settings) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, kind := range accessKinds() {
		fields := beside[kind]
		putText(h, fmt.Sprint(kind, " ", len(fields)))
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			putText(h, field)
			putText(h, fields[field])
		}
	}
	h.Sum(sum[:0])
	return sum
}

// putText puts a text behind its length, so that no two lists of texts read the same.
func putText(h hash.Hash, text string) {
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // a hash never fails
	_, _ = io.WriteString(h, text)
}
