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
