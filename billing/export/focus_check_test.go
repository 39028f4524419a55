package export

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// What follows checks a file by rules of FOCUS 1.2 (FinOps Foundation, the columns' and
// attributes' pages of the specification). It knows nothing of how the file was made.

// focusType is what a column's values are.
type focusType int

const (
	ofText focusType = iota
	ofDecimal
	ofMoment
	ofCurrency
	ofUnit
	ofJSON
)

// focusRule is what holds for a column in each row.
type focusRule struct {
	mandatory bool // in every file, of everybody
	null      string
	kind      focusType
	words     []string // allowed values
}

// When a column may be null.
const (
	never = "never"
	may   = "may"
	// usual: null with ChargeCategory Tax, not null with Usage or Purchase that is no
	// Correction, else it may be.
	usual = "usual"
	// measured: not null with Usage that is no Correction, may be with one that is,
	// else null.
	measured = "measured"
)

func focusRules() map[string]focusRule {
	one := func(words ...string) []string { return words }
	return map[string]focusRule{
		"BilledCost":         {true, never, ofDecimal, nil},
		"BillingAccountId":   {true, never, ofText, nil},
		"BillingAccountName": {true, may, ofText, nil},
		"BillingCurrency":    {true, never, ofCurrency, nil},
		"BillingPeriodEnd":   {true, never, ofMoment, nil},
		"BillingPeriodStart": {true, never, ofMoment, nil},
		"ChargeCategory":     {true, never, ofText, one("Usage", "Purchase", "Tax", "Credit", "Adjustment")},
		"ChargeClass":        {true, may, ofText, one("Correction")},
		"ChargeDescription":  {true, may, ofText, nil},
		"ChargePeriodEnd":    {true, never, ofMoment, nil},
		"ChargePeriodStart":  {true, never, ofMoment, nil},
		"ContractedCost":     {true, never, ofDecimal, nil},
		"EffectiveCost":      {true, never, ofDecimal, nil},
		"InvoiceIssuerName":  {true, never, ofText, nil},
		"ListCost":           {true, never, ofDecimal, nil},
		"PricingQuantity":    {true, usual, ofDecimal, nil},
		"PricingUnit":        {true, usual, ofUnit, nil},
		"ProviderName":       {true, never, ofText, nil},
		"PublisherName":      {true, never, ofText, nil},
		"ServiceCategory":    {true, never, ofText, one("Integration")},
		"ServiceName":        {true, never, ofText, nil},

		"ChargeFrequency":     {false, never, ofText, one("One-Time", "Recurring", "Usage-Based")},
		"ConsumedQuantity":    {false, measured, ofDecimal, nil},
		"ConsumedUnit":        {false, measured, ofUnit, nil},
		"ContractedUnitPrice": {false, usual, ofDecimal, nil},
		"InvoiceId":           {false, may, ofText, nil},
		"ListUnitPrice":       {false, usual, ofDecimal, nil},
		"PricingCategory":     {false, usual, ofText, one("Standard", "Dynamic", "Committed", "Other")},
		"RegionId":            {false, may, ofText, nil},
		"RegionName":          {false, may, ofText, nil},
		"ResourceId":          {false, may, ofText, nil},
		"ResourceName":        {false, may, ofText, nil},
		"ResourceType":        {false, may, ofText, nil},
		"ServiceSubcategory":  {false, never, ofText, one("API Management", "Messaging", "Workflow Automation", "Other (Integration)")},
		"SkuId":               {false, usual, ofText, nil},
		"SkuMeter":            {false, may, ofText, nil},
		"SkuPriceDetails":     {false, may, ofJSON, nil},
		"SkuPriceId":          {false, usual, ofText, nil},
		"SubAccountId":        {false, may, ofText, nil},
		"SubAccountName":      {false, may, ofText, nil},
		"Tags":                {false, may, ofJSON, nil},
	}
}

// focusLine is a row by the columns' names.
type focusLine map[string]string

func (l focusLine) null(column string) bool { return l[column] == "" }

// focusChecker remembers what must hold over rows.
type focusChecker struct {
	rules map[string]focusRule
	skus  map[string]string // of each SkuPriceId
	lines []focusLine
}

// checkFocus reads a file and says everything that is wrong with it, a mistake a line.
func checkFocus(r io.Reader) ([]focusLine, error) {
	c := focusChecker{rules: focusRules(), skus: map[string]string{}}
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, err
	}
	errs := c.columns(header)
	for n := 2; ; n++ {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return c.lines, errors.Join(errs...)
		} else if err != nil {
			return c.lines, err
		}
		line := focusLine{}
		for i, cell := range cells {
			line[header[i]] = cell
		}
		c.lines = append(c.lines, line)
		for _, err := range append(c.values(line), c.crosses(line)...) {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
		}
	}
}

var pascal = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,49}$`)

// columns: the mandatory ones are there, none twice, custom ones begin with x_ and come last.
func (c *focusChecker) columns(header []string) (errs []error) {
	custom := false
	for i, name := range header {
		_, known := c.rules[name]
		switch {
		case slices.Contains(header[:i], name):
			errs = append(errs, fmt.Errorf("column %s is there twice", name))
		case strings.HasPrefix(name, "x_"):
			custom = true
		case custom:
			errs = append(errs, fmt.Errorf("column %s comes behind custom ones", name))
		case !known || !pascal.MatchString(name):
			errs = append(errs, fmt.Errorf("column %s is none of FOCUS 1.2", name))
		}
	}
	for name, rule := range c.rules {
		if rule.mandatory && !slices.Contains(header, name) {
			errs = append(errs, fmt.Errorf("column %s is missing", name))
		}
	}
	return errs
}

// values: of each column on its own.
func (c *focusChecker) values(l focusLine) (errs []error) {
	for name, value := range l {
		rule := c.rules[name]
		if value == "" {
			if !mayBeNull(rule, l) {
				errs = append(errs, fmt.Errorf("%s is null", name))
			}
			continue
		}
		if mustBeNull(rule, l) {
			errs = append(errs, fmt.Errorf("%s is %q, and not null", name, value))
		}
		if !rule.kind.fits(value) {
			errs = append(errs, fmt.Errorf("%s %q is of the wrong form", name, value))
		}
		if rule.words != nil && !slices.Contains(rule.words, value) {
			errs = append(errs, fmt.Errorf("%s %q is none of %v", name, value, rule.words))
		}
		if strings.TrimSpace(value) != value || strings.EqualFold(value, "null") || strings.EqualFold(value, "not applicable") {
			errs = append(errs, fmt.Errorf("%s %q stands for nothing (null handling)", name, value))
		}
	}
	return errs
}

func mayBeNull(r focusRule, l focusLine) bool {
	correction, category := l["ChargeClass"] == "Correction", l["ChargeCategory"]
	switch r.null {
	case usual:
		return correction || category != "Usage" && category != "Purchase"
	case measured:
		return correction || category != "Usage"
	}
	return r.null == may
}

func mustBeNull(r focusRule, l focusLine) bool {
	return r.null == usual && l["ChargeCategory"] == "Tax" || r.null == measured && l["ChargeCategory"] != "Usage"
}

var (
	// decimalForm is the attribute NumericFormat: no plus, no exponent, no commas.
	decimalForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	// momentForm is the attribute DateTimeFormat.
	momentForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	// unitForm is the attribute UnitFormat: perhaps a whole number and a space, then
	// units with capitals, at most two with a hyphen or slash between.
	unitForm = regexp.MustCompile(`^([1-9][0-9]* )?[A-Z][A-Za-z]*([-/][A-Z][A-Za-z]*)?$`)
	// sizeForm are the allowed abbreviations of bytes; timeForm names of times.
	sizeForm = regexp.MustCompile(`^([KMGTPE]i?)?[Bb]$`)
	timeForm = regexp.MustCompile(`^(Year|Month|Day|Hour|Minute|Second)s?$`)
	counted  = []string{"Records", "Requests", "Connections", "Failures", "Connection", "Partition"}
)

func (k focusType) fits(value string) bool {
	switch k {
	case ofDecimal:
		return decimalForm.MatchString(value)
	case ofMoment:
		_, err := time.Parse(time.RFC3339, value)
		return err == nil && momentForm.MatchString(value)
	case ofCurrency:
		return regexp.MustCompile(`^[A-Z]{3}$`).MatchString(value)
	case ofUnit:
		units := value[strings.LastIndex(value, " ")+1:]
		for _, u := range strings.FieldsFunc(units, func(r rune) bool { return r == '-' || r == '/' }) {
			if !sizeForm.MatchString(u) && !timeForm.MatchString(u) && !slices.Contains(counted, u) {
				return false
			}
		}
		return unitForm.MatchString(value)
	case ofJSON: // KeyValueFormat: an object of keys with a text, a number, a boolean or null
		var pairs map[string]any
		if err := json.Unmarshal([]byte(value), &pairs); err != nil {
			return false
		}
		for _, v := range pairs {
			switch v.(type) {
			case map[string]any, []any:
				return false
			}
		}
	}
	return true
}

// crosses: what columns of a row say of each other.
func (c *focusChecker) crosses(l focusLine) (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	correction := l["ChargeClass"] == "Correction"
	for _, p := range [][2]string{{"BillingPeriodStart", "BillingPeriodEnd"}, {"ChargePeriodStart", "ChargePeriodEnd"}} {
		if l[p[0]] >= l[p[1]] { // the form makes texts comparable
			wrong("%s %s is not before %s %s", p[0], l[p[0]], p[1], l[p[1]])
		}
	}
	if l["ChargePeriodStart"] < l["BillingPeriodStart"] || l["ChargePeriodEnd"] > l["BillingPeriodEnd"] {
		wrong("the charge period from %s is not within the billing period from %s", l["ChargePeriodStart"], l["BillingPeriodStart"])
	}
	for _, p := range [][2]string{{"ListUnitPrice", "ListCost"}, {"ContractedUnitPrice", "ContractedCost"}} {
		switch price, cost := l[p[0]], l[p[1]]; {
		case price == "" && !same(cost, l["BilledCost"]):
			wrong("%s %s is not BilledCost, and there is no %s", p[1], cost, p[0])
		case price != "" && strings.HasPrefix(price, "-"):
			wrong("%s %s is negative", p[0], price)
		case price != "" && !correction && !same(cost, product(price, l["PricingQuantity"])):
			wrong("%s %s is not %s %s times PricingQuantity %s", p[1], cost, p[0], price, l["PricingQuantity"])
		}
	}
	if !same(l["EffectiveCost"], l["BilledCost"]) {
		wrong("EffectiveCost %s is not BilledCost %s, and nothing is prepaid", l["EffectiveCost"], l["BilledCost"])
	}
	for _, p := range [][2]string{
		{"SkuId", "SkuPriceId"},
		{"SkuId", "SkuMeter"},
		{"SkuPriceId", "SkuPriceDetails"},
		{"ConsumedQuantity", "ConsumedUnit"},
		{"PricingQuantity", "PricingUnit"},
		{"RegionId", "RegionName"},
		{"ResourceId", "ResourceName"},
		{"ResourceId", "ResourceType"},
		{"SubAccountId", "SubAccountName"},
	} {
		if l.null(p[0]) != l.null(p[1]) {
			wrong("only one of %s and %s is null", p[0], p[1])
		}
	}
	if id := l["SkuPriceId"]; id != "" {
		if was, ok := c.skus[id]; ok && was != l["SkuId"] {
			wrong("SkuPriceId %s has two parents, SkuId %s and %s", id, was, l["SkuId"])
		}
		c.skus[id] = l["SkuId"]
	}
	if l["ChargeCategory"] == "Usage" && l["ChargeFrequency"] != "Usage-Based" {
		wrong("usage comes %s", l["ChargeFrequency"])
	}
	return errs
}

func number(text string) *apd.Decimal {
	d, _, err := apd.NewFromString(text)
	if err != nil {
		return new(apd.Decimal)
	}
	return d
}

func same(a, b string) bool { return number(a).Cmp(number(b)) == 0 }

func product(a, b string) string {
	var d apd.Decimal
	if _, err := exactly().Mul(&d, number(a), number(b)); err != nil {
		return err.Error()
	}
	return d.Text('f')
}
