package gateway

import (
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"weir/metering"
)

// archiveDir is where a gateway keeps what it sealed, in metering.dir.
const archiveDir = "records"

// sealing makes what seals the hours of all gateways on whichever holds the lease, keeps
// a copy on this one's disk, and compares what was metered with the logs.
func (p *process) sealing(a assembly, id string, registry prometheus.Registerer) *metering.Sealer {
	cfg := metering.SealerConfig{Records: p.records, Store: p.counts, Gateway: id, Log: a.log, Registry: registry}
	if a.metering.dir != "" {
		cfg.Archive = metering.NewArchive(metering.ArchiveConfig{
			Dir: filepath.Join(a.metering.dir, archiveDir), Retention: a.metering.retention, Log: a.log,
		})
	}
	sealer, logs := metering.NewSealer(cfg), logs{p.directory, p.pools, a.log}
	reconciler := metering.NewReconciler(metering.ReconcilerConfig{
		Records: p.records, Instances: logs.instances, Logs: logs.ends, Holds: sealer.Holds, Log: a.log, Registry: registry,
	})
	p.background = append(p.background, component{"sealing of usage", sealer.Run}, component{"comparing usage with logs", reconciler.Run})
	return sealer
}
