package gateway

import (
	"cmp"
	"log/slog"
	"maps"
	"net"
	"strconv"

	"weir/proxy"
	"weir/tenancy"
)

// faces is what the listeners of a configuration come to: what proxy binds,
// and how people are told to reach an instance there.
type faces struct {
	listeners []proxy.Listener
	pairs     []*keyPair

	domains    []string // with ports: "kafka.example.com:9092"; an instance's name goes before
	bootstraps []string // without SNI
	plaintext  bool     // no listener has TLS
	names      []string // of hosts and domains that are the gateway's own
}

// hostEndpoints are the bootstrap addresses at a host name of an instance's own:
// wherever names say the instance.
func (f *faces) hostEndpoints(host string) []string {
	var out []string
	for _, d := range f.domains {
		_, port, _ := net.SplitHostPort(d) // made by JoinHostPort
		out = append(out, net.JoinHostPort(host, port))
	}
	return out
}

// endpoints are the bootstrap addresses of an instance.
func (f *faces) endpoints(id tenancy.InstanceID) []string {
	var out []string
	for _, d := range f.domains {
		out = append(out, string(id)+"."+d)
	}
	return append(out, f.bootstraps...)
}

// username is what a client must send to be understood at every endpoint.
func (f *faces) username(id tenancy.InstanceID, user string) string {
	if len(f.bootstraps) == 0 {
		return user // the host name says the instance
	}
	return user + "@" + string(id)
}

// faces expands the listeners: each brokers block becomes one listener per node.
func (c *Config) faces(log *slog.Logger) (*faces, error) {
	f := &faces{plaintext: true}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		main := proxy.Listener{Address: l.Address, ReusePort: l.ReusePort, Node: proxy.AnyNode, Balancers: l.ProxyProtocol.balancers()}
		if l.TLS != nil {
			pair, err := loadKeyPair(resolve(c.dir, l.TLS.CertificateFile), resolve(c.dir, l.TLS.KeyFile), log)
			if err != nil {
				return nil, err
			}
			f.pairs = append(f.pairs, pair)
			main.TLS, f.plaintext = serverTLS(pair.get), false
		}
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil {
			return nil, err
		}
		if l.SNI != nil {
			main.SNI = &proxy.SNI{Domain: l.SNI.Domain, Port: int32(l.SNI.Port)}
			if l.SNI.Port != 0 {
				port = strconv.Itoa(l.SNI.Port)
			}
			f.domains = append(f.domains, net.JoinHostPort(l.SNI.Domain, port))
			f.names = append(f.names, l.SNI.Domain)
		}
		if len(l.Brokers) > 0 || l.SNI == nil {
			at := cmp.Or(l.Advertise, l.Address)
			f.bootstraps = append(f.bootstraps, at)
			if name, _, err := net.SplitHostPort(at); err == nil {
				f.names = append(f.names, name)
			}
		}
		for _, b := range l.Brokers {
			f.names = append(f.names, b.Host)
		}
		f.listeners = append(f.listeners, perBroker(main, host, l.Brokers)...)
	}
	return f, nil
}

// perBroker returns main, knowing the addresses of brokers, and one listener
// for each of them: the n-th node on the n-th port.
func perBroker(main proxy.Listener, bindHost string, brokers []BrokersConfig) []proxy.Listener {
	main.Ports = make(map[string]map[int32]proxy.HostPort)
	for _, b := range brokers {
		nodes := make(map[int32]proxy.HostPort)
		for i, node := range b.Nodes {
			nodes[int32(node)] = proxy.HostPort{Host: b.Host, Port: int32(b.FirstPort + i)}
		}
		if main.Ports[b.Pool] == nil {
			main.Ports[b.Pool] = nodes
			continue
		}
		maps.Copy(main.Ports[b.Pool], nodes)
	}
	out := []proxy.Listener{main}
	for _, b := range brokers {
		for i, node := range b.Nodes {
			l := main
			l.Address = net.JoinHostPort(bindHost, strconv.Itoa(b.FirstPort+i))
			l.Pool, l.Node = b.Pool, int32(node)
			l.SNI = nil
			out = append(out, l)
		}
	}
	return out
}
