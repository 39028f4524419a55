package gateway

import (
	"weir/billing"
	"weir/billing/export"
)

// exports makes files of what was used, and of what it costs.
func (p *process) exports(a assembly) *export.Exporter {
	prices := billing.NewStore(p.rdb, a.prices)
	return export.New(export.Config{
		Records: p.records, Charges: &billing.Charger{Records: p.records, Books: prices, Finals: prices},
		Retention: p.records.Retention(), Issuer: a.issuer,
	})
}
