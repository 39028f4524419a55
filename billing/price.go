package billing

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
)

// Prices are what a plan costs, as people write it: in weir.yaml and over REST. All
// numbers are decimals as texts: digits, and perhaps a point with up to 12 digits
// behind it.
type Prices struct {
	// Currency of all that follows, by its three letters (ISO 4217).
	Currency string `json:"currency" yaml:"currency"`
	// Minimum is what an instance costs in a month at the least, if it used anything.
	// Optional; nothing if empty.
	Minimum string `json:"minimum,omitempty" yaml:"minimum"`
	// Meters that cost something; what is not here is free.
	Meters []MeterPrices `json:"meters" yaml:"meters"`
}

// MeterPrices are those of one meter, of each instance in each calendar month (UTC).
type MeterPrices struct {
	// Meter by its name, as produce_bytes.
	Meter string `json:"meter" yaml:"meter"`
	// Unit that prices are for: GiB or GB of bytes, GiB-Hours or GB-Hours of stored
	// bytes, Hours of connections and partitions, 1, 1K or 1M of what is counted.
	Unit string `json:"unit" yaml:"unit"`
	// Price of a unit.
	Price string `json:"price" yaml:"price"`
	// Free are how many units cost nothing. Optional; none if empty.
	Free string `json:"free,omitempty" yaml:"free"`
	// Tiers are other prices for what is used beyond so many units, the free ones
	// counted. Optional.
	Tiers []TierPrices `json:"tiers,omitempty" yaml:"tiers"`
}

// TierPrices is the price of a unit from so many units on.
type TierPrices struct {
	// Above how many units, more than of the tier before.
	Above string `json:"above" yaml:"above"`
	// Price of a unit there.
	Price string `json:"price" yaml:"price"`
}

// maxTiers is how many tiers a meter may have.
const maxTiers = 20

// Book is what a plan costs, ready to rate by. Immutable.
type Book struct {
	Currency string
	minimum  apd.Decimal
	meters   []meterBook // in order of meters
}

type meterBook struct {
	meter metering.Meter
	unit  unit
	tiers []tier // in order, the first from 0 on
}

// tier is the price of a unit of what is used from so many on, in the meter's own.
type tier struct {
	from  apd.BigInt
	price apd.Decimal
}

// Mistake is one thing that keeps prices from being used.
type Mistake struct {
	Path string // as meters[2].tiers[0].above
	Text string
}

func (m Mistake) Error() string { return m.Path + ": " + m.Text }

// mistakes gathers them.
type mistakes []Mistake

func (ms *mistakes) note(path string, err error) {
	if err != nil {
		*ms = append(*ms, Mistake{Path: path, Text: err.Error()})
	}
}

// Book reads prices, or says everything that is wrong with them.
func (p *Prices) Book() (*Book, []Mistake) {
	b, wrong := &Book{Currency: p.Currency}, mistakes{}
	if err := CheckCurrency(p.Currency); err != nil {
		wrong.note("currency", err)
	} else if b.minimum = zero(p.Currency); p.Minimum != "" {
		minimum, err := ParseAmount(p.Minimum, p.Currency)
		wrong.note("minimum", err)
		b.minimum = minimum
	}
	if len(p.Meters) == 0 && p.Minimum == "" {
		wrong.note("meters", fmt.Errorf("are empty and there is no minimum: nothing costs anything"))
	}
	for i := range p.Meters {
		at := fmt.Sprintf("meters[%d]", i)
		m, ok := p.Meters[i].book(at, &wrong)
		if !ok {
			continue
		}
		if slices.ContainsFunc(b.meters, func(o meterBook) bool { return o.meter == m.meter }) {
			wrong.note(at+".meter", fmt.Errorf("%s has a price already", m.meter))
		}
		b.meters = append(b.meters, m)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	slices.SortFunc(b.meters, func(x, y meterBook) int { return int(x.meter) - int(y.meter) })
	return b, nil
}

func (p *MeterPrices) book(at string, wrong *mistakes) (b meterBook, ok bool) {
	before := len(*wrong)
	var err error
	if p.Meter == "" {
		wrong.note(at+".meter", errors.New("is needed, as in produce_bytes"))
		return b, false
	}
	if b.meter, err = metering.ParseMeter(p.Meter); err != nil {
		wrong.note(at+".meter", err)
		return b, false
	}
	if byStrangers(b.meter) {
		wrong.note(at+".meter", fmt.Errorf("%s cannot have a price: anybody who knows an instance's name adds to them", b.meter))
		return b, false
	}
	if b.unit, err = parseUnit(b.meter, p.Unit); err != nil {
		wrong.note(at+".unit", err)
		return b, false
	}
	price, err := parseDecimal(p.Price)
	wrong.note(at+".price", err)
	first := tier{price: price}
	if p.Free != "" {
		from, err := b.bound(p.Free)
		wrong.note(at+".free", err)
		if from.Sign() > 0 {
			b.tiers = append(b.tiers, tier{})
			first.from = from
		}
	}
	b.tiers = append(b.tiers, first)
	if len(p.Tiers) > maxTiers {
		wrong.note(at+".tiers", fmt.Errorf("are %d, at most %d are possible", len(p.Tiers), maxTiers))
		return b, false
	}
	for i, t := range p.Tiers {
		b.tier(fmt.Sprintf("%s.tiers[%d]", at, i), t, wrong)
	}
	return b, len(*wrong) == before
}

// tier adds one.
func (b *meterBook) tier(at string, t TierPrices, wrong *mistakes) {
	price, err := parseDecimal(t.Price)
	wrong.note(at+".price", err)
	from, err := b.bound(t.Above)
	if err != nil {
		wrong.note(at+".above", err)
		return
	}
	if last := b.tiers[len(b.tiers)-1]; from.Cmp(&last.from) <= 0 {
		wrong.note(at+".above", fmt.Errorf("%s is not above what comes before it (%s): tiers go up", t.Above,
			short(quotient(&last.from, apd.NewBigInt(b.unit.size), b.unit.places))))
	}
	b.tiers = append(b.tiers, tier{from: from, price: price})
}

// bound reads how many units, and returns them in the meter's own, of which it must
// be a whole number: so that what lies in a tier is one too.
func (b *meterBook) bound(text string) (apd.BigInt, error) {
	d, err := parseDecimal(text)
	if err != nil {
		return apd.BigInt{}, err
	}
	var own, whole, rest apd.BigInt
	own.Mul(&d.Coeff, apd.NewBigInt(b.unit.size))
	if d.Exponent >= 0 {
		own.Mul(&own, pow10(d.Exponent))
		return own, nil
	}
	if whole.QuoRem(&own, pow10(-d.Exponent), &rest); rest.Sign() != 0 {
		return apd.BigInt{}, fmt.Errorf("%s %s are no whole number of %s", text, b.unit.shown(b.meter), ownWord(b.meter))
	}
	return whole, nil
}

// ownWord is what a meter's number counts.
func ownWord(m metering.Meter) string {
	switch measured[m].kind {
	case kindSeconds:
		return "seconds"
	case kindByteSeconds, kindBytes, kindCount:
	}
	return measured[m].word
}
