package parts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisCluster is six nodes: three masters with a replica each.
type RedisCluster struct {
	t     testing.TB
	nodes []*RedisNode
}

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// StartRedisCluster starts them, gives out the slots and waits until all is whole.
func StartRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	const all = 2 * clusterMasters
	port := FreePorts(t, 2*all)
	c := &RedisCluster{t: t}
	for i := range all {
		n := newRedisNode(t, port+i, "everysec", "--repl-diskless-sync-delay", "0",
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(port+all+i),
			"--cluster-node-timeout", strconv.FormatInt(redisSilence.Milliseconds(), 10),
			"--cluster-replica-validity-factor", "0") // one that was frozen may be elected, too
		c.nodes = append(c.nodes, n)
		n.Start()
		if i < clusterMasters {
			n.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*clusterSlots/clusterMasters), strconv.Itoa((i+1)*clusterSlots/clusterMasters-1))
		}
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for i, n := range c.nodes[1:] {
		c.nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(n.port), strconv.Itoa(port+all+1+i))
	}
	for _, n := range c.nodes {
		Await(t, "all nodes of the cluster know each other", redisFailover, func() bool { return len(c.seen(n)) == all })
	}
	for i := range clusterMasters {
		id := c.nodes[i].Do("CLUSTER", "MYID")
		c.nodes[clusterMasters+i].Do("CLUSTER", "REPLICATE", id)
	}
	c.AwaitWhole()
	return c
}

// URL names all nodes.
func (c *RedisCluster) URL() string { return "redis-cluster://" + addrs(c.nodes) }

// Nodes are all six.
func (c *RedisCluster) Nodes() []*RedisNode { return c.nodes }

// clusterLine is what one node says of another, or of itself.
type clusterLine struct {
	id, addr, master string
	flags            []string
	slots            bool
}

func (l clusterLine) is(flag string) bool { return slices.Contains(l.flags, flag) }

// seen is what one node knows, whom it has shaken hands with.
func (c *RedisCluster) seen(by *RedisNode) (all []clusterLine) {
	out, err := by.Try("CLUSTER", "NODES")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(out) {
		// id 127.0.0.1:20000@20006 myself,master - 0 1700000000000 1 connected 0-5460
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		addr, _, _ := strings.Cut(f[1], "@")
		l := clusterLine{id: f[0], addr: addr, master: f[3], flags: strings.Split(f[2], ","), slots: len(f) > 8}
		if !l.is("handshake") && !l.is("noaddr") {
			all = append(all, l)
		}
	}
	return all
}

// view is what any node knows that runs.
func (c *RedisCluster) view() []clusterLine {
	for _, n := range c.nodes {
		if n.Ended() {
			continue
		}
		if all := c.seen(n); all != nil {
			return all
		}
	}
	return nil
}

func (c *RedisCluster) node(addr string) *RedisNode {
	i := slices.IndexFunc(c.nodes, func(n *RedisNode) bool { return n.Addr() == addr })
	return c.nodes[i]
}

// Masters are those that have slots and have not failed.
func (c *RedisCluster) Masters() (all []*RedisNode) {
	for _, l := range c.view() {
		if l.is("master") && !l.is("fail") && l.slots {
			all = append(all, c.node(l.addr))
		}
	}
	return all
}

// ReplicasOf a master; one, if nothing has failed.
func (c *RedisCluster) ReplicasOf(master *RedisNode) (all []*RedisNode) {
	view := c.view()
	for _, l := range view {
		if l.addr != master.Addr() {
			continue
		}
		for _, r := range view {
			if r.master == l.id {
				all = append(all, c.node(r.addr))
			}
		}
	}
	return all
}

// AwaitFailover waits until three others have all slots.
func (c *RedisCluster) AwaitFailover(killed *RedisNode) {
	c.t.Helper()
	Await(c.t, "a replica has the slots of "+killed.Addr(), redisFailover, func() bool {
		m := c.Masters()
		return len(m) == clusterMasters && !slices.Contains(m, killed) && c.whole(killed)
	})
}

// Return starts a killed node: it finds out by itself what it is.
func (c *RedisCluster) Return(n *RedisNode) {
	c.t.Helper()
	n.Start()
}

// Promote makes the replica of a master master in good order.
func (c *RedisCluster) Promote(master *RedisNode) {
	c.t.Helper()
	r := c.ReplicasOf(master)
	if len(r) == 0 {
		c.t.Fatalf("%s has no replica", master.Addr())
	}
	var asked time.Time
	Await(c.t, r[0].Addr()+" is master for "+master.Addr(), redisFailover, func() bool {
		if time.Since(asked) > 2*redisSilence+time.Second { // what did not come in time is given up
			asked = time.Now()
			r[0].Do("CLUSTER", "FAILOVER")
		}
		return slices.Contains(c.Masters(), r[0])
	})
	c.AwaitFailover(master)
}

// AwaitWhole waits until all nodes say that all slots are there, and each master is
// followed by a replica.
func (c *RedisCluster) AwaitWhole() {
	c.t.Helper()
	Await(c.t, "the cluster is whole", redisFailover, func() bool {
		m := c.Masters()
		for _, n := range m {
			if !followed(n, 1) {
				return false
			}
		}
		return len(m) == clusterMasters && c.whole(nil)
	})
}

// whole says whether all nodes but one say that all slots are there.
func (c *RedisCluster) whole(but *RedisNode) bool {
	for _, n := range c.nodes {
		if n == but {
			continue
		}
		if out, err := n.Try("CLUSTER", "INFO"); err != nil || !strings.Contains(out, "cluster_state:ok") ||
			!strings.Contains(out, fmt.Sprintf("cluster_slots_ok:%d", clusterSlots)) {
			return false
		}
	}
	return true
}
