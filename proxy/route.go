package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"weir/tenancy"
	"weir/upstream"
)

// route is what the endpoint at which a client arrived says.
type route struct {
	instance tenancy.InstanceID // "" if the endpoint does not tell
	node     int32              // AnyNode on a bootstrap endpoint
	pool     string             // the pool that node is of, "" if the endpoint does not tell
	sni      bool
}

// route is what the endpoint says to who asked for serverName, "" without TLS.
func (l *listener) route(serverName string) route {
	if l.SNI != nil {
		if r, ok := l.SNI.routeSNI(serverName); ok {
			return r
		}
	}
	return route{node: l.Node, pool: l.Pool}
}

// routeSNI reads <instance>.<domain> and b<node>-<instance>.<domain>. ok is
// false for any other name: then the port decides. No instance id begins with
// b<digits>-, so a name reads one way only.
func (s *SNI) routeSNI(serverName string) (route, bool) {
	label, domain, found := strings.Cut(strings.ToLower(strings.TrimSuffix(serverName, ".")), ".")
	if !found || domain != s.Domain {
		return route{}, false
	}
	r := route{node: AnyNode, sni: true}
	if num, id, isBroker := strings.Cut(label, "-"); isBroker && len(num) > 1 && num[0] == 'b' {
		if n, err := strconv.ParseInt(num[1:], 10, 32); err == nil && n >= 0 {
			r.node, label = int32(n), id
		}
	}
	id, err := tenancy.ParseInstanceID(label)
	if err != nil {
		return route{}, false
	}
	r.instance = id
	return r, true
}

// brokerHost is the name under which routeSNI finds the node.
func (s *SNI) brokerHost(id tenancy.InstanceID, node int32) string {
	return fmt.Sprintf("b%d-%s.%s", node, id, s.Domain)
}

// addresses returns where a client that arrived by r reaches each node. A node
// without an address gets one that cannot be resolved: never the broker's own.
func (l *listener) addresses(r route, id tenancy.InstanceID, pool *upstream.Pool) func(node int32) (string, int32) {
	if r.sni {
		return func(node int32) (string, int32) { return l.SNI.brokerHost(id, node), l.sniPort }
	}
	ports := l.Ports[pool.Name()]
	return func(node int32) (string, int32) {
		if at, ok := ports[node]; ok {
			return at.Host, at.Port
		}
		return fmt.Sprintf("broker-%d-has-no-port.invalid", node), 1
	}
}
