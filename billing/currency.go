package billing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"weir/tenancy"
)

// minorUnits are the currencies that prices may be in, with how many digits their
// amounts have behind the point (ISO 4217, list one).
var minorUnits = map[string]int32{ //nolint:gochecknoglobals // read-only table
	"AED": 2, "ARS": 2, "AUD": 2, "BGN": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2,
	"COP": 2, "CZK": 2, "DKK": 2, "EGP": 2, "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2,
	"INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KES": 2, "KRW": 0, "KWD": 3, "KZT": 2, "MAD": 2, "MXN": 2,
	"MYR": 2, "NGN": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "PLN": 2, "QAR": 2, "RON": 2, "RSD": 2,
	"SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2, "TWD": 2, "UAH": 2, "USD": 2, "VND": 0,
	"ZAR": 2,
}

// CheckCurrency says what keeps a text from being a currency of prices.
func CheckCurrency(code string) error {
	if _, ok := minorUnits[code]; ok {
		return nil
	}
	if code == "" {
		return errors.New("is needed, as in EUR")
	}
	if meant := tenancy.DidYouMean(strings.ToUpper(code[:min(len(code), maxMeant)]), maps.Keys(minorUnits)); meant != "" {
		return fmt.Errorf("%.20q is no currency here; did you mean %s?", code, meant)
	}
	return fmt.Errorf("%.20q is no currency here: want one of %s", code, strings.Join(slices.Sorted(maps.Keys(minorUnits)), ", "))
}

// maxMeant is up to how many bytes of a code are compared with known ones.
const maxMeant = 20

// ParsePositive is ParseAmount of more than nothing.
func ParsePositive(text, currency string) (apd.Decimal, error) {
	d, err := ParseAmount(text, currency)
	if err == nil && d.IsZero() {
		err = fmt.Errorf("%.40q is nothing: want more than 0", text)
	}
	return d, err
}

// ParseAmount reads an amount of a currency: not negative, and with no more digits
// behind the point than the currency has.
func ParseAmount(text, currency string) (apd.Decimal, error) {
	if err := CheckCurrency(currency); err != nil {
		return apd.Decimal{}, err
	}
	d, err := parseDecimal(text)
	if err != nil {
		return apd.Decimal{}, err
	}
	return amount(d, currency)
}

// amount is d with exactly the digits of a currency; an error if it has more.
func amount(d apd.Decimal, currency string) (apd.Decimal, error) {
	places := minorUnits[currency]
	var out apd.Decimal
	if _, err := exact().Quantize(&out, &d, -places); err != nil {
		return apd.Decimal{}, fmt.Errorf("%s has more than the %d digits that %s has behind the point", short(d), places, currency)
	}
	return out, nil
}

// zero is nothing, in a currency.
func zero(currency string) apd.Decimal { return *apd.New(0, -minorUnits[currency]) }

// parseSigned reads an amount as Money wrote it.
func parseSigned(text, currency string) (apd.Decimal, error) {
	rest, negative := strings.CutPrefix(text, "-")
	d, err := ParseAmount(rest, currency)
	d.Negative = negative && err == nil && !d.IsZero()
	return d, err
}
