package gateway

import (
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"weir/billing"
)

// BillingConfig is about what usage costs; prices are plans'.
type BillingConfig struct {
	// Issuer is who writes the invoices, as FOCUS files say it (InvoiceIssuerName,
	// ProviderName, PublisherName): at most 100 characters. Optional; Weir if empty. The
	// file should be the same on every gateway, or exports are not.
	Issuer string `yaml:"issuer"`
}

// maxIssuer is how many characters an issuer may have.
const maxIssuer = 100

func (v *validator) billing(b *BillingConfig) {
	if !v.printable("billing.issuer", b.Issuer) {
		return
	}
	if n := utf8.RuneCountInString(b.Issuer); n > maxIssuer {
		v.fail("billing.issuer", codeValue, "%d characters are too many, at most %d are allowed", n, maxIssuer)
	}
}

// planPrices are the prices that plans have by the file.
func planPrices(plans []PlanConfig) map[string]billing.Prices {
	all := map[string]billing.Prices{}
	for i := range plans {
		if p := plans[i].Prices; p != nil {
			all[plans[i].Name] = *p
		}
	}
	return all
}

func (d *decoder) planPrices(at string, p *billing.Prices) {
	if p == nil {
		return
	}
	_, wrong := p.Book()
	for _, m := range wrong {
		d.fail(join(at, m.Path), codeValue, "%s", m.Text)
	}
}

// ReadPrices reads and checks prices that are written as below prices of a plan in
// weir.yaml; file is what mistakes call them. Its error is a *ConfigError with every
// mistake at once.
func ReadPrices(file string, data []byte) (*billing.Prices, error) {
	d := &decoder{file: file, at: map[string]token.Position{"": {Line: 1, Column: 1}}, broken: make(map[string]bool)}
	p := &billing.Prices{}
	if d.parse(data, p) {
		if _, whole := d.at["prices"]; whole {
			d.mistakes = nil
			d.fail("prices", codeUnknownKey, "write what is below prices: in weir.yaml, without that line and not indented")
			return nil, d.failed()
		}
		d.planPrices("", p)
	}
	if err := d.failed(); err != nil {
		return nil, err
	}
	return p, nil
}
