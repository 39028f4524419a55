package gateway

import (
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"weir/metering"
)

// archiveDir is where a gateway keeps what it sealed, in metering.dir.
const archiveDir = "records"

// sealing makes what seals the hours of all gateways on whichever holds the lease, and
// keeps a copy on this one's disk.
func (p *process) sealing(a assembly, id string, registry prometheus.Registerer) *metering.Sealer {
	cfg := metering.SealerConfig{Records: p.records, Store: p.counts, Gateway: id, Log: a.log, Registry: registry}
	if a.metering.dir != "" {
		cfg.Archive = metering.NewArchive(metering.ArchiveConfig{
			Dir: filepath.Join(a.metering.dir, archiveDir), Retention: a.metering.retention, Log: a.log,
		})
	}
	return metering.NewSealer(cfg)
}
