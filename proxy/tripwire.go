package proxy

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
)

// alarmed counts and logs an answer that the tripwire has held back, at once,
// whatever the connection ends for. Other errors pass. The line never holds what
// would have left: digest tells whether two alarms are about the same.
func (c *conn) alarmed(err error) error {
	leak, ok := errors.AsType[*rewrite.Leak](err)
	if !ok {
		return err
	}
	api := kmsg.NameForKey(leak.Key)
	c.srv.metrics.tripwire.WithLabelValues(api).Inc()
	c.srv.cfg.Log.Error("tripwire: an answer would have shown something of the pool and was not sent",
		"conn", c.id, "instance", c.principal.Instance, "api", api, "version", leak.Version,
		"kind", leak.Kind, "field", leak.Field, "owner", leak.Owner, "digest", leak.Digest,
		"fix", "this is a fault of the gateway or of the pool: report it with this line")
	return err
}
