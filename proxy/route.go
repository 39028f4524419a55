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
	host     string // the instance's own host name that the client asked for, "" if none
}

// route is what the endpoint says to who asked for serverName, "" without TLS. The
// gateway's own names come first, whatever an instance has claimed.
func (l *listener) route(serverName string) route {
	if name, ok := canonicalName(serverName); ok && l.SNI != nil {
		if r, ok := l.SNI.routeSNI(name); ok {
			return r
		}
		if r, ok := l.routeHost(name); ok {
			return r
		}
	}
	return route{node: l.Node, pool: l.Pool}
}

// maxServerName is the longest name in DNS as text, without a trailing dot (RFC 1035 2.3.4).
const maxServerName = 253

// canonicalName is a server name in the form in which names are compared; ok is
// false of what names no host: too long, or with other bytes than ASCII's visible ones.
func canonicalName(serverName string) (name string, ok bool) {
	name = strings.TrimSuffix(serverName, ".")
	if name == "" || len(name) > maxServerName {
		return "", false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return "", false
		}
	}
	return strings.ToLower(name), true
}

// routeSNI reads <instance>.<domain> and b<node>-<instance>.<domain>. ok is
// false for any other name: then the port decides. No instance id begins with
// b<digits>-, so a name reads one way only.
func (s *SNI) routeSNI(name string) (route, bool) {
	label, domain, found := strings.Cut(name, ".")
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
	switch {
	case r.host != "":
		own := tenancy.Host{Name: r.host}
		return func(node int32) (string, int32) { return own.BrokerName(node), l.sniPort }
	case r.sni:
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
