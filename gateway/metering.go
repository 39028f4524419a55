package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unicode"

	"weir/proxy"
)

// MeteringConfig is about counting what instances use.
type MeteringConfig struct {
	// Dir is the folder of counters, of what is not in Redis yet, and of the archive of
	// records. It must outlive the process, and be on a local disk; several gateways
	// may share one. Optional; the folder usage beside this file if empty.
	Dir string `yaml:"dir"`
	// Breakdown is by what else than the instance bytes and records are counted: user,
	// topic. Optional; nothing.
	Breakdown []string `yaml:"breakdown"`
	// BreakdownCap is how many users, and how many topics, of an instance one gateway
	// counts by name in an hour; the others are counted together. 100.
	BreakdownCap int `yaml:"breakdown_cap"`
	// Retention is how long sealed records are kept: at least 35 days. 9600h (13 months).
	Retention time.Duration `yaml:"retention"`
}

const (
	defaultMeteringDir  = "usage"
	defaultRetention    = 9600 * time.Hour
	minRetention        = 35 * 24 * time.Hour // as long as gateways keep what they counted
	maxBreakdownCap     = 10_000
	breakdownUser       = "user"
	breakdownTopic      = "topic"
	maxZone             = 255
	defaultBreakdownCap = 100
)

// meteringSettings is MeteringConfig with its defaults.
type meteringSettings struct {
	dir       string // absolute or from the working directory; "": nothing outlives the process
	breakdown proxy.Breakdown
	retention time.Duration
}

// settings fills in the defaults; relative names count from dir.
func (m *MeteringConfig) settings(dir string) meteringSettings {
	return meteringSettings{
		dir: resolve(dir, cmp.Or(m.Dir, defaultMeteringDir)), retention: cmp.Or(m.Retention, defaultRetention),
		breakdown: proxy.Breakdown{
			User: slices.Contains(m.Breakdown, breakdownUser), Topic: slices.Contains(m.Breakdown, breakdownTopic),
			Most: cmp.Or(m.BreakdownCap, defaultBreakdownCap),
		},
	}
}

// names are the kinds of the breakdown.
func (m *meteringSettings) names() (kinds []string) {
	if m.breakdown.User {
		kinds = append(kinds, breakdownUser)
	}
	if m.breakdown.Topic {
		kinds = append(kinds, breakdownTopic)
	}
	return kinds
}

func (v *validator) metering(m *MeteringConfig) {
	for i, kind := range m.Breakdown {
		at := fmt.Sprintf("metering.breakdown[%d]", i)
		switch {
		case kind != breakdownUser && kind != breakdownTopic:
			v.fail(at, codeValue, "%q is none of user, topic", kind)
		case slices.Index(m.Breakdown, kind) != i:
			v.fail(at, codeValue, "%q is there twice", kind)
		}
	}
	if n := m.BreakdownCap; n < 0 || n > maxBreakdownCap {
		v.fail("metering.breakdown_cap", codeValue, "%d is not between 1 and %d", n, maxBreakdownCap)
	}
	if r := m.Retention; r != 0 && r < minRetention {
		v.fail("metering.retention", codeValue, "%s is too short: bills of a month are made of records, at least 840h are needed", r)
	}
}

// zone checks that a zone can be what a broker calls its rack.
func (v *validator) zone(zone string) {
	if !v.printable("zone", zone) {
		return
	}
	if len(zone) > maxZone {
		v.fail("zone", codeValue, "%d bytes are too many, at most %d are allowed", len(zone), maxZone)
	}
}

// printable fails a text that a person cannot read whole.
func (v *validator) printable(at, text string) bool {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			v.fail(at, codeValue, "%q has a character that cannot be read", text)
			return false
		}
	}
	return true
}
