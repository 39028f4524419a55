package export

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/billing"
	"weir/metering"
)

// focusColumn is one of FOCUS 1.2 and what a charge has there; "" is null.
type focusColumn struct {
	name string
	text bool // else a number, a moment or one of a few words: never guarded
	of   func(focusRow) string
}

// focusRow is a charge with what is worked out of it once.
type focusRow struct {
	billing.Charge
	issuer      string
	cost, whole string // billed, and unit price times quantity
}

// usage, and priced, keep a value for charges of usage; of a minimum it is null.
func usage(of func(focusRow) string) func(focusRow) string {
	return func(r focusRow) string {
		if r.Kind != billing.KindUsage {
			return ""
		}
		return of(r)
	}
}

func fixed(text string) func(focusRow) string { return func(focusRow) string { return text } }

// focusColumns are those of our files in order of their names: the 21 that FOCUS 1.2
// wants of everybody, and those that it wants of who has instances, plans and prices.
func focusColumns() []focusColumn {
	instance := func(r focusRow) string { return string(r.Instance) }
	cost := func(r focusRow) string { return r.cost }
	whole := func(r focusRow) string { return r.whole }
	quantity := usage(func(r focusRow) string { return billing.Text(r.Quantity) })
	price := usage(func(r focusRow) string { return billing.Text(r.UnitPrice) })
	issuer := func(r focusRow) string { return r.issuer }
	pool := func(r focusRow) string { return r.Pool }
	return []focusColumn{
		{"BilledCost", false, cost},
		{"BillingAccountId", true, func(r focusRow) string { return string(r.Tenant) }},
		{"BillingAccountName", true, fixed("")}, // tenants have no other name than their id
		{"BillingCurrency", false, func(r focusRow) string { return r.Currency }},
		{"BillingPeriodEnd", false, func(r focusRow) string { return moment(billing.MonthOf(r.Day).End()) }},
		{"BillingPeriodStart", false, func(r focusRow) string { return moment(billing.MonthOf(r.Day).Begin()) }},
		{"ChargeCategory", false, category},
		{"ChargeClass", false, class},
		{"ChargeDescription", true, describe},
		{"ChargeFrequency", false, frequency},
		{"ChargePeriodEnd", false, func(r focusRow) string { return moment(r.Day.AddDate(0, 0, 1)) }},
		{"ChargePeriodStart", false, func(r focusRow) string { return moment(r.Day) }},
		{"ConsumedQuantity", false, usage(func(r focusRow) string { return r.Used.String() })},
		{"ConsumedUnit", false, usage(func(r focusRow) string { return consumedUnits[r.Meter] })},
		{"ContractedCost", false, whole},
		{"ContractedUnitPrice", false, price},
		{"EffectiveCost", false, cost},
		{"InvoiceId", true, func(r focusRow) string { return billing.StatementID(r.Tenant, billing.MonthOf(r.Day), r.Currency) }},
		{"InvoiceIssuerName", true, issuer},
		{"ListCost", false, whole},
		{"ListUnitPrice", false, price},
		{"PricingCategory", false, usage(fixed("Standard"))},
		{"PricingQuantity", false, quantity},
		{"PricingUnit", false, usage(func(r focusRow) string { return pricingUnit(r.Unit) })},
		{"ProviderName", true, issuer},
		{"PublisherName", true, issuer},
		{"RegionId", true, pool},
		{"RegionName", true, pool},
		{"ResourceId", true, instance},
		{"ResourceName", true, instance},
		{"ResourceType", true, fixed("Kafka Instance")},
		{"ServiceCategory", false, fixed("Integration")},
		{"ServiceName", true, fixed("Weir")},
		{"ServiceSubcategory", false, fixed("Messaging")},
		{"SkuId", true, usage(sku)},
		{"SkuMeter", true, usage(func(r focusRow) string { return r.Meter.String() })},
		{"SkuPriceDetails", true, usage(details)},
		{"SkuPriceId", true, usage(func(r focusRow) string { return sku(r) + "/" + strconv.Itoa(r.Tier) })},
		{"SubAccountId", true, instance},
		{"SubAccountName", true, instance},
		{"Tags", true, tags},
	}
}

// consumedUnits are what the meters' own numbers count, as FOCUS writes units.
var consumedUnits = [metering.Meters]string{ //nolint:gochecknoglobals // read-only table
	metering.ProduceBytes: "B", metering.ProduceRecords: "Records", metering.FetchBytes: "B", metering.FetchRecords: "Records",
	metering.Requests: "Requests", metering.RequestBytes: "B", metering.ResponseBytes: "B",
	metering.ConnectionSeconds: "Connection-Seconds", metering.ConnectionAttempts: "Connections", metering.AuthFailures: "Failures",
	metering.PartitionSeconds: "Partition-Seconds", metering.StorageByteSeconds: "B-Seconds", metering.CrossZoneBytes: "B",
	metering.TransactionalRecords: "Records",
}

// pricingUnit is a statement's unit as FOCUS writes it: quantities as whole numbers.
func pricingUnit(unit string) string {
	for short, long := range map[string]string{"1K ": "1000 ", "1M ": "1000000 "} {
		if rest, ok := strings.CutPrefix(unit, short); ok {
			return long + rest
		}
	}
	return unit
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// category of what fills a plan's minimum is that of charges which fit nowhere else.
func category(r focusRow) string {
	if r.Kind == billing.KindUsage {
		return "Usage"
	}
	return "Adjustment"
}

func class(r focusRow) string {
	if r.Correction {
		return "Correction"
	}
	return ""
}

func frequency(r focusRow) string {
	if r.Kind == billing.KindUsage {
		return "Usage-Based"
	}
	return "Recurring"
}

func describe(r focusRow) string {
	what := "Minimum of plan " + r.Plan
	if r.Kind == billing.KindUsage {
		what = r.Meter.String() + " of plan " + r.Plan + ", price " + strconv.Itoa(r.Tier)
	}
	if r.Correction {
		what += ", correction of " + r.UsedIn.String()
	}
	return what
}

func sku(r focusRow) string { return r.Plan + "/" + r.Meter.String() }

func details(r focusRow) string {
	b := appendText([]byte(`{"x_Plan":`), r.Plan)
	return string(strconv.AppendInt(append(b, `,"x_PriceIndex":`...), int64(r.Tier), 10)) + "}"
}

func tags(r focusRow) string {
	b := appendText([]byte(`{"weir/plan":`), r.Plan)
	return string(appendText(append(b, `,"weir/pool":`...), r.Pool)) + "}"
}

// charges writes a FOCUS 1.2 file.
func (x *Exporter) charges(ctx context.Context, s Spec, f File, w io.Writer) (Made, error) {
	var made Made
	if x.cfg.Charges == nil {
		return made, errNoCharges
	}
	columns, sums := focusColumns(), money{}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	if _, err := io.WriteString(w, strings.Join(names, ",")+"\n"); err != nil {
		return made, err
	}
	var line []byte
	for ch, err := range x.cfg.Charges.Charges(ctx, billing.Query{
		Tenant: s.Tenant, Instance: s.Instance, From: f.From.Begin(), To: f.To.Begin(), AsOf: s.AsOf,
	}) {
		if err != nil {
			return made, err
		}
		row, err := x.focusRow(ch)
		if err != nil {
			return made, err
		}
		line = line[:0]
		for _, c := range columns {
			if c.text {
				line = append(appendCell(line, c.of(row)), ',')
			} else {
				line = append(append(line, c.of(row)...), ',')
			}
		}
		line[len(line)-1] = '\n'
		if _, err := w.Write(line); err != nil {
			return made, err
		}
		made.Rows++
		if err := sums.add(ch.Currency, &ch.Cost); err != nil {
			return made, err
		}
	}
	made.Costs = map[string]string{}
	for currency, sum := range sums {
		made.Costs[currency] = billing.Money(*sum)
	}
	return made, nil
}

// focusRow works out what FOCUS calls list and contracted cost: quantity times price,
// not rounded, as it wants of every row. Only the billed cost is a whole number of the
// currency's minor units, and adds up to the statement.
func (x *Exporter) focusRow(ch billing.Charge) (focusRow, error) {
	r := focusRow{Charge: ch, issuer: x.cfg.Issuer, cost: billing.Money(ch.Cost)}
	r.whole = r.cost
	if ch.Kind == billing.KindUsage {
		var whole apd.Decimal
		if _, err := exactly().Mul(&whole, &ch.Quantity, &ch.UnitPrice); err != nil {
			return r, err
		}
		r.whole = billing.Text(whole)
	}
	return r, nil
}
