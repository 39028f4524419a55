package billing

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

const (
	// maxWhole and maxFraction are how many digits a price, an allowance or an amount
	// may have before and behind the point.
	maxWhole    = 15
	maxFraction = 12
)

// exact is for sums and differences of amounts: what cannot be told exactly is an
// error there, never a digit less. 60 digits are those of 10²⁹ amounts of the longest
// kind.
func exact() *apd.Context {
	c := apd.BaseContext.WithPrecision(60)
	c.Rounding = apd.RoundHalfEven
	c.Traps = apd.DefaultTraps | apd.Inexact | apd.Rounded
	return c
}

// errDecimal is of a text that is no decimal number.
var errDecimal = errors.New("is no decimal number")

// parseDecimal reads a number of people: digits, and perhaps a point with digits on
// both sides. No sign, no exponent, no thousands, nothing that a spreadsheet adds.
func parseDecimal(text string) (apd.Decimal, error) {
	whole, fraction, point := strings.Cut(text, ".")
	switch {
	case text == "":
		return apd.Decimal{}, errors.New("is needed: digits, as in 0.04")
	case strings.HasPrefix(text, "-") && text != "-":
		return apd.Decimal{}, fmt.Errorf("%.40q is negative: want 0 or more", text)
	case !digits(whole), point && !digits(fraction):
		return apd.Decimal{}, fmt.Errorf("%.40q %w: want digits, as in 0.04", text, errDecimal)
	case len(whole) > maxWhole:
		return apd.Decimal{}, fmt.Errorf("%.40q has more than %d digits before the point", text, maxWhole)
	case len(fraction) > maxFraction:
		return apd.Decimal{}, fmt.Errorf("%.40q has more than %d digits behind the point", text, maxFraction)
	}
	d, _, err := apd.NewFromString(text)
	if err != nil {
		return apd.Decimal{}, fmt.Errorf("%.40q %w", text, errDecimal)
	}
	return *d, nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// pow10 is 10ⁿ, n not negative.
func pow10(n int32) *apd.BigInt {
	return new(apd.BigInt).Exp(apd.NewBigInt(10), apd.NewBigInt(int64(n)), nil)
}

// quotient is n divided by d, which is positive, to so many places: half to even. It
// is worked out in whole numbers, so that a tie is a tie.
func quotient(n, d *apd.BigInt, places int32) apd.Decimal {
	var q, r, scaled apd.BigInt
	scaled.Mul(n, pow10(places))
	q.QuoRem(&scaled, d, &r)
	twice := new(apd.BigInt).Abs(&r)
	twice.Add(twice, twice)
	if c := twice.Cmp(d); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(&q, apd.NewBigInt(int64(n.Sign())))
	}
	return decimal(&q, -places)
}

// decimal is coeff × 10^exponent.
func decimal(coeff *apd.BigInt, exponent int32) apd.Decimal {
	var d apd.Decimal
	d.Coeff.Abs(coeff)
	d.Negative = coeff.Sign() < 0
	d.Exponent = exponent
	return d
}

// plus and minus are exact; they panic only if an amount has some 30 digits, which
// nothing that they are given can have.
func plus(a, b apd.Decimal) apd.Decimal {
	var sum apd.Decimal
	if _, err := exact().Add(&sum, &a, &b); err != nil {
		panic(fmt.Sprintf("billing: %s + %s: %v", &a, &b, err))
	}
	return sum
}

func minus(a, b apd.Decimal) apd.Decimal {
	var diff apd.Decimal
	if _, err := exact().Sub(&diff, &a, &b); err != nil {
		panic(fmt.Sprintf("billing: %s - %s: %v", &a, &b, err))
	}
	return diff
}

// less, and equal, of numbers whatever zeros they end with.
func less(a, b apd.Decimal) bool  { return a.Cmp(&b) < 0 }
func equal(a, b apd.Decimal) bool { return a.Cmp(&b) == 0 }

// short is a number without zeros at its end: 849.7, 10, 0.
func short(d apd.Decimal) string {
	if d.IsZero() {
		return "0"
	}
	text := d.Text('f')
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Text is a quantity or a unit price as REST and files have it: without an exponent,
// and without zeros at the end.
func Text(d apd.Decimal) string { return short(d) }

// Money is an amount as REST and files have it: with all the digits of its currency.
func Money(d apd.Decimal) string { return d.Text('f') }
