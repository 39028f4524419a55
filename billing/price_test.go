package billing

import (
	"strings"
	"testing"
)

func TestBadPrices(t *testing.T) {
	good := func() Prices {
		return Prices{Currency: "EUR", Minimum: "5", Meters: []MeterPrices{{
			Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "10", Tiers: []TierPrices{{Above: "1024", Price: "0.03"}},
		}}}
	}
	if _, wrong := new(good()).Book(); len(wrong) > 0 {
		t.Fatalf("good prices: %v", wrong)
	}
	for name, c := range map[string]struct {
		change     func(*Prices)
		path, text string
	}{
		"not a decimal":       {func(p *Prices) { p.Meters[0].Price = "cheap" }, "meters[0].price", `"cheap" is no decimal number`},
		"empty":               {func(p *Prices) { p.Meters[0].Price = "" }, "meters[0].price", "is needed"},
		"comma":               {func(p *Prices) { p.Meters[0].Price = "0,04" }, "meters[0].price", "is no decimal number"},
		"point alone":         {func(p *Prices) { p.Meters[0].Price = "." }, "meters[0].price", "is no decimal number"},
		"nothing before":      {func(p *Prices) { p.Meters[0].Price = ".5" }, "meters[0].price", "is no decimal number"},
		"infinite":            {func(p *Prices) { p.Meters[0].Price = "Inf" }, "meters[0].price", "is no decimal number"},
		"not a number":        {func(p *Prices) { p.Meters[0].Price = "NaN" }, "meters[0].price", "is no decimal number"},
		"Arabic digits":       {func(p *Prices) { p.Meters[0].Price = "٣" }, "meters[0].price", "is no decimal number"},
		"exponent":            {func(p *Prices) { p.Meters[0].Price = "1e999999999" }, "meters[0].price", "is no decimal number"},
		"negative":            {func(p *Prices) { p.Meters[0].Price = "-0.04" }, "meters[0].price", "is negative"},
		"too fine":            {func(p *Prices) { p.Meters[0].Price = "0.0000000000001" }, "meters[0].price", "more than 12 digits behind"},
		"too much":            {func(p *Prices) { p.Meters[0].Price = "1000000000000000" }, "meters[0].price", "more than 15 digits before"},
		"long":                {func(p *Prices) { p.Meters[0].Price = strings.Repeat("9", 1<<20) }, "meters[0].price", "more than 15 digits"},
		"meter":               {func(p *Prices) { p.Meters[0].Meter = "produced" }, "meters[0].meter", "unknown meter"},
		"of strangers":        {func(p *Prices) { p.Meters[0].Meter, p.Meters[0].Unit = "auth_failures", "1" }, "meters[0].meter", "cannot have a price"},
		"of strangers, too":   {func(p *Prices) { p.Meters[0].Meter, p.Meters[0].Unit = "connection_attempts", "1K" }, "meters[0].meter", "cannot have a price"},
		"unit":                {func(p *Prices) { p.Meters[0].Unit = "MiB" }, "meters[0].unit", `"MiB" is no unit of produce_bytes: want GiB or GB`},
		"unit of another":     {func(p *Prices) { p.Meters[0].Unit = "Hours" }, "meters[0].unit", "want GiB or GB"},
		"currency":            {func(p *Prices) { p.Currency = "BTC" }, "currency", "is no currency"},
		"no currency":         {func(p *Prices) { p.Currency = "" }, "currency", "is needed"},
		"fine minimum":        {func(p *Prices) { p.Minimum = "5.001" }, "minimum", "more than the 2 digits that EUR has"},
		"negative minimum":    {func(p *Prices) { p.Minimum = "-5" }, "minimum", "is negative"},
		"reversed tiers":      {func(p *Prices) { p.Meters[0].Tiers = append(p.Meters[0].Tiers, TierPrices{"512", "1"}) }, "meters[0].tiers[1].above", "512 is not above what comes before it (1024)"},
		"the same tier":       {func(p *Prices) { p.Meters[0].Tiers = append(p.Meters[0].Tiers, TierPrices{"1024.0", "1"}) }, "meters[0].tiers[1].above", "tiers go up"},
		"tier of 0":           {func(p *Prices) { p.Meters[0].Free, p.Meters[0].Tiers[0].Above = "", "0" }, "meters[0].tiers[0].above", "tiers go up"},
		"below the allowance": {func(p *Prices) { p.Meters[0].Free = "2000" }, "meters[0].tiers[0].above", "not above what comes before it (2000)"},
		"price of a tier":     {func(p *Prices) { p.Meters[0].Tiers[0].Price = "1e5" }, "meters[0].tiers[0].price", "is no decimal number"},
		"parts of a byte":     {func(p *Prices) { p.Meters[0].Free = "0.1" }, "meters[0].free", "0.1 GiB are no whole number of bytes"},
		"twice":               {func(p *Prices) { p.Meters = append(p.Meters, p.Meters[0]) }, "meters[1].meter", "has a price already"},
		"nothing":             {func(p *Prices) { p.Minimum, p.Meters = "", nil }, "meters", "nothing costs anything"},
		"many tiers":          {func(p *Prices) { p.Meters[0].Tiers = make([]TierPrices, 21) }, "meters[0].tiers", "at most 20"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good()
			c.change(&p)
			b, wrong := p.Book()
			if b != nil || len(wrong) != 1 || wrong[0].Path != c.path || !strings.Contains(wrong[0].Text, c.text) {
				t.Errorf("book %v, %v; want one mistake, %s: %s", b, wrong, c.path, c.text)
			}
			if len(wrong) > 0 && (strings.ContainsAny(wrong[0].Text, "\n\r") || len(wrong[0].Text) > 400) {
				t.Errorf("not one short line: %q", wrong[0].Text)
			}
		})
	}
}

func TestEveryMistake(t *testing.T) {
	p := Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1M", Price: "x", Free: "-1"}, {Meter: "nothing"}}}
	if _, wrong := p.Book(); len(wrong) != 3 {
		t.Errorf("%v, want three mistakes", wrong)
	}
}
