package billing

import (
	"fmt"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/tenancy"
)

// Mode of a budget: what happens when it is spent.
type Mode string

// The modes.
const (
	ModeSoft    Mode = "soft"    // it is told
	ModeHard    Mode = "hard"    // and the tenant's instances are restrained until the month ends
	ModePrepaid Mode = "prepaid" // as hard, but what there is to spend is a balance, which months use up
)

// Budget is what a tenant may spend.
type Budget struct {
	Currency string `json:"currency"` // what is priced in others does not count
	Mode     Mode   `json:"mode"`
	// Amount of a month; "" of a prepaid one.
	Amount string `json:"amount,omitempty"`
	// Action when it is spent; of a soft one none.
	Action tenancy.Restraint `json:"action,omitempty"`
	// Since is the first month that a prepaid balance pays.
	Since Month `json:"since,omitempty"`
	// ByOperator: its tenant may not change it.
	ByOperator bool `json:"by_operator,omitempty"`
}

// Check says everything that keeps a budget from being one.
func (b *Budget) Check() []Mistake {
	wrong := mistakes{}
	if err := CheckCurrency(b.Currency); err != nil {
		wrong.note("currency", err)
	} else if b.Mode != ModePrepaid {
		amount, err := ParseAmount(b.Amount, b.Currency)
		if err == nil && amount.IsZero() {
			err = fmt.Errorf("%.40q is nothing: want more than 0, or no budget", b.Amount)
		}
		wrong.note("amount", err)
	}
	switch b.Mode {
	case ModeSoft:
		if b.Action != tenancy.RestraintNone {
			wrong.note("action", fmt.Errorf("a soft budget has none: it only tells"))
		}
	case ModeHard, ModePrepaid:
		if b.Action != tenancy.RestraintThrottle && b.Action != tenancy.RestraintStop {
			wrong.note("action", fmt.Errorf("%.20q is none of throttle, stop", string(b.Action)))
		}
		if b.Mode == ModePrepaid && b.Amount != "" {
			wrong.note("amount", fmt.Errorf("a prepaid budget has none: it has a balance"))
		}
	default:
		wrong.note("mode", fmt.Errorf("%.20q is none of soft, hard, prepaid", string(b.Mode)))
	}
	return wrong
}

// TopUp adds to a prepaid balance in its currency.
type TopUp struct {
	ID       string    `json:"id"` // of whoever pays: given twice, it counts once
	Amount   string    `json:"amount"`
	Currency string    `json:"currency"`
	At       time.Time `json:"at"`
	Note     string    `json:"note,omitempty"`
}

// Threshold of a budget.
type Threshold string

// The thresholds: shares of it in percent, and what the month will come to.
const (
	Threshold50       Threshold = "50"
	Threshold80       Threshold = "80"
	Threshold100      Threshold = "100"
	ThresholdForecast Threshold = "forecast"
)

// forecastAfter is how much of a month must be over before its forecast says anything.
const forecastAfter = 24 * time.Hour

// Balance is where a tenant stands in a month. Amounts are in the budget's currency.
type Balance struct {
	Month    Month
	Currency string
	// Available is the budget's amount; of a prepaid one what was left when the month
	// began, and was added since.
	Available apd.Decimal
	// Spent in the month, also in hours that are not sealed.
	Spent apd.Decimal
	// Forecast is what Spent will be at its end; nil on its first day.
	Forecast *apd.Decimal
}

// Left is what is available and not spent; less than 0 if more was spent.
func (b *Balance) Left() apd.Decimal { return minus(b.Available, b.Spent) }

// Crossed are the thresholds that were reached.
func (b *Balance) Crossed() (all []Threshold) {
	hundred := apd.New(100, 0)
	var spent apd.Decimal
	if _, err := exact().Mul(&spent, &b.Spent, hundred); err != nil {
		return nil
	}
	for _, t := range []struct {
		name  Threshold
		share int64
	}{{Threshold50, 50}, {Threshold80, 80}, {Threshold100, 100}} {
		if b.Available.Sign() <= 0 && t.name != Threshold100 {
			continue // there are no shares of nothing
		}
		var at apd.Decimal
		if _, err := exact().Mul(&at, &b.Available, apd.New(t.share, 0)); err != nil {
			return nil
		}
		if spent.Cmp(&at) >= 0 {
			all = append(all, t.name)
		}
	}
	if b.Forecast != nil && b.Forecast.Cmp(&b.Available) > 0 {
		all = append(all, ThresholdForecast)
	}
	return all
}

// Restraint is what a budget does about a balance.
func (b *Budget) Restraint(is *Balance) tenancy.Restraint {
	if b.Mode == ModeSoft || is.Spent.Cmp(&is.Available) < 0 {
		return tenancy.RestraintNone
	}
	return b.Action
}

// Event says that a budget's threshold was crossed.
type Event struct {
	ID        string           `json:"-"` // in order of writing
	At        time.Time        `json:"at"`
	Tenant    tenancy.TenantID `json:"tenant"`
	Month     Month            `json:"month"`
	Threshold Threshold        `json:"threshold"`
	Mode      Mode             `json:"mode"`
	Currency  string           `json:"currency"`
	Available string           `json:"available"`
	Spent     string           `json:"spent"`
	Forecast  string           `json:"forecast,omitempty"`
	// Restraint of the tenant's instances from then on.
	Restraint tenancy.Restraint `json:"restraint,omitempty"`
}
