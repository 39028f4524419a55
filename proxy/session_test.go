package proxy

import "testing"

// TestForeign: what a broker's text must not name, and what it may.
func TestForeign(t *testing.T) {
	r := newRig(t)
	pool := r.srv.cfg.Pools["main"]
	foreign := r.srv.foreign("i-a", pool)
	for text, want := range map[string]bool{
		"Topic 'i-b.orders' is there":                     true,
		"partitions of=i-b.orders-0":                      true,
		"ask " + pool.Brokers()[0].Host + ":9001":         true,
		"cluster physical-cluster-id":                     true,
		"User:weir may not":                               true,
		"Topic 'i-a.orders' is there":                     false,
		"Topic 'i-a.i-b.orders' collides: i-a.i-b_orders": false,
		"Topic 'i-a.x_i-b.orders' is there":               false,
		"Topic 'i-none.orders' is there":                  false,
		"Number of partitions must be larger than 0.":     false,
	} {
		if got := foreign(text); got != want {
			t.Errorf("foreign(%q) = %v", text, got)
		}
	}
}

// A host is looked for as a name, not as letters.
func TestNamesOfHosts(t *testing.T) {
	for text, want := range map[string]bool{
		"broker": true, "at broker:9092": true, "weir-broker-1": true, "brokers, and the broker": true,
		"brokers cannot be chosen here": false, "webbroker": false, "": false,
	} {
		if got := names(text, "broker"); got != want {
			t.Errorf("names(%q) = %v", text, got)
		}
	}
	if names("any text", "") {
		t.Error("no host is named in any text")
	}
}
