package auth

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/tenancy"
)

// restrict gives an instance of the fixture networks, and a plan.
func (d *directory) restrict(id tenancy.InstanceID, plan string, networks ...tenancy.Network) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := *d.views[id]
	v.Instance.Plan = plan
	v.Access = &tenancy.Access{Networks: networks}
	d.views[id] = &v
}

func network(cidr string, e tenancy.Endpoint) tenancy.Network {
	n := tenancy.Network{Endpoint: e}
	if cidr != "" {
		n.CIDR = netip.MustParsePrefix(cidr)
	}
	return n
}

func vpce() tenancy.Endpoint { return tenancy.Endpoint{Cloud: "aws", ID: "vpce-0a1b"} }

// through is a peer that came through a private endpoint.
func through(e tenancy.Endpoint, addr string, id tenancy.InstanceID) Peer {
	p := at(addr, id)
	p.From.Endpoint = e
	return p
}

// closedPlans denies networks for the plan "closed", and by default if byDefault.
func closedPlans(byDefault bool) func(string) Defaults {
	return func(plan string) Defaults {
		return Defaults{DenyNetworks: plan == "closed" || plan == "" && byDefault}
	}
}

// Who may begin, and who may stay, by where he is: the same question.
func TestAdmit(t *testing.T) {
	f := newFixture(t)
	view, _ := f.dir.View("one")
	secret := view.Users["alice"].Credentials[0].Secret
	office := network("10.1.0.0/16", tenancy.Endpoint{})
	for _, tc := range []struct {
		what     string
		networks []tenancy.Network
		plan     string
		closed   bool // default plan
		peer     Peer
		refused  bool
	}{
		{what: "no networks", peer: at("192.0.2.1", "one")},
		{what: "no networks, closed plan", plan: "closed", peer: at("192.0.2.1", "one"), refused: true},
		{what: "no networks, open plan beside a closed default", plan: "open", closed: true, peer: at("192.0.2.1", "one")},
		{what: "inside", networks: []tenancy.Network{office}, peer: at("10.1.2.3", "one")},
		{what: "inside, closed plan", networks: []tenancy.Network{office}, plan: "closed", peer: at("10.1.2.3", "one")},
		{what: "outside", networks: []tenancy.Network{office}, peer: at("10.2.2.3", "one"), refused: true},
		{what: "mapped", networks: []tenancy.Network{office}, peer: at("::ffff:10.1.2.3", "one")},
		{what: "IPv6", networks: []tenancy.Network{office}, peer: at("2001:db8::1", "one"), refused: true},
		{what: "a direct range, through an endpoint", networks: []tenancy.Network{office}, peer: through(vpce(), "10.1.2.3", "one"), refused: true},
		{what: "the endpoint", networks: []tenancy.Network{network("", vpce())}, peer: through(vpce(), "10.9.9.9", "one")},
		{what: "an endpoint's address, direct", networks: []tenancy.Network{network("10.0.0.0/8", vpce())}, peer: at("10.9.9.9", "one"), refused: true},
		{what: "another endpoint", networks: []tenancy.Network{network("", vpce())}, peer: through(tenancy.Endpoint{Cloud: "aws", ID: "vpce-0a1c"}, "10.9.9.9", "one"), refused: true},
		{what: "another cloud's", networks: []tenancy.Network{network("", vpce())}, peer: through(tenancy.Endpoint{Cloud: "gcp", ID: "vpce-0a1b"}, "10.9.9.9", "one"), refused: true},
		{what: "no such instance", peer: at("192.0.2.1", "none")},
		{what: "no such instance, closed default", closed: true, peer: at("192.0.2.1", "none"), refused: true},
	} {
		f.defaults = closedPlans(tc.closed)
		f.dir.restrict("one", tc.plan, tc.networks...)
		want := Reason("")
		if tc.refused {
			want = ReasonNetwork
		}
		if got := f.Admit(tc.peer); got != want {
			t.Errorf("%s: Admit says %q, want %q", tc.what, got, want)
		}
		if tc.peer.Instance == "one" {
			if got := f.Check(Principal{"one", "alice"}, Proof{Mechanism: Plain, secret: secret}, tc.peer); got != want {
				t.Errorf("%s: Check says %q, want %q", tc.what, got, want)
			}
		}
		tc.peer.Instance = ""
		if got := f.Admit(tc.peer); got != "" {
			t.Errorf("%s: without an instance Admit says %q", tc.what, got)
		}
	}
}

// A suspended instance is as far away as an active one.
func TestAdmitSuspended(t *testing.T) {
	f := newFixture(t)
	f.dir.restrict("asleep", "", network("10.1.0.0/16", tenancy.Endpoint{}))
	if f.Admit(at("192.0.2.1", "asleep")) != ReasonNetwork || f.Admit(at("10.1.2.3", "asleep")) != "" {
		t.Error("networks of a suspended instance do not count")
	}
	if got := f.Check(Principal{"asleep", "alice"}, Proof{}, at("10.1.2.3", "asleep")); got != ReasonRevoked {
		t.Errorf("a session of a suspended instance: %q", got)
	}
	if got := f.Check(Principal{"broke", "alice"}, Proof{}, at("10.1.2.3", "broke")); got != ReasonBudgetSpent {
		t.Errorf("a session of an instance without budget: %q", got)
	}
}

// From a wrong network a right password is a wrong one: the same error, counted
// the same, and never proved, whatever the mechanism and how the instance is named.
func TestWrongNetworkFailsLikeAWrongPassword(t *testing.T) {
	f := newFixture(t)
	f.dir.restrict("one", "", network("10.1.0.0/16", tenancy.Endpoint{}))
	for _, mechanism := range f.Mechanisms() {
		for _, peer := range []Peer{at("192.0.2.1", ""), at("192.0.2.1", "one"), through(vpce(), "10.1.2.3", "")} {
			for _, password := range []string{alicePassword, "wrong password"} {
				f.limiter = newLimiter(10)
				for n := range strangerAllowance().burst + 1 {
					want := ReasonNetwork
					if n == strangerAllowance().burst {
						want = ReasonRateLimited
					}
					p, err := f.login(mechanism, peer, "alice@one", password)
					if why := reason(t, err); why != want || p != (Principal{}) {
						t.Fatalf("%s, %s, attempt %d: %q, %v; want %q", mechanism, password, n, why, p, want)
					}
				}
			}
		}
		f.limiter = newLimiter(10)
		if _, err := f.login(mechanism, at("10.1.2.3", ""), "alice@one", alicePassword); err != nil {
			t.Errorf("%s from the right network: %v", mechanism, err)
		}
	}
}

// While the password is being checked the network is taken away.
func TestNetworkGoesWhileAuthenticating(t *testing.T) {
	f := newFixture(t)
	f.dir.restrict("one", "", network("10.1.0.0/16", tenancy.Endpoint{}))
	f.hash = func(pepper, salt []byte, password string) []byte {
		f.dir.restrict("one", "", network("10.2.0.0/16", tenancy.Endpoint{}))
		return plainHash(pepper, salt, password)
	}
	if _, err := f.login(Plain, at("10.1.2.3", "one"), "alice", alicePassword); reason(t, err) != ReasonNetwork {
		t.Errorf("got %v", err)
	}
}

// manyNetworks has n ranges, of which the last has 10.99.0.1.
func manyNetworks(n int) []tenancy.Network {
	all := make([]tenancy.Network, n)
	for i := range all {
		all[i] = tenancy.Network{CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(16 + i>>8), byte(i), 0}), 24)}
	}
	all[n-1] = network("10.99.0.0/16", tenancy.Endpoint{})
	return all
}

func BenchmarkAdmit(b *testing.B) {
	for _, n := range []int{1, 100, tenancy.MaxNetworks} {
		for what, addr := range map[string]string{"allowed": "10.99.0.1", "refused": "192.0.2.1"} {
			b.Run(fmt.Sprintf("%d/%s", n, what), func(b *testing.B) {
				f := newFixture(b)
				f.dir.restrict("one", "", manyNetworks(n)...)
				peer := at(addr, "one")
				f.Admit(peer) // compiles
				b.ReportAllocs()
				for b.Loop() {
					if (f.Admit(peer) == "") != (what == "allowed") {
						b.Fatal("wrong")
					}
				}
			})
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1, 100, tenancy.MaxNetworks} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := newFixture(b)
			f.dir.restrict("one", "", manyNetworks(n)...)
			peer := at("10.99.0.1", "one")
			c, _ := f.Start(Plain, peer)
			if _, done, err := c.Step(plainToken("", "alice", alicePassword)); !done {
				b.Fatal(err)
			}
			proof := c.Proof()
			b.ReportAllocs()
			for b.Loop() {
				if f.Check(Principal{"one", "alice"}, proof, peer) != "" {
					b.Fatal("wrong")
				}
			}
		})
	}
}
