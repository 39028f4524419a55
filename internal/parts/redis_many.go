package parts

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is true of every set of many: a node that is silent for redisSilence is given up.
// A failover then takes a second or two.
const (
	redisSilence  = 2 * time.Second
	redisFailover = 90 * time.Second // on whatever machine
)

// RedisSet is one that goes on when a master is killed: with Sentinels, or a Cluster.
type RedisSet interface {
	// URL is what the gateway's configuration takes.
	URL() string
	// Nodes are those with data; which of them are masters changes.
	Nodes() []*RedisNode
	// Masters are those of this moment.
	Masters() []*RedisNode
	// ReplicasOf a master.
	ReplicasOf(*RedisNode) []*RedisNode
	// AwaitFailover waits until another node has taken the place of a killed master.
	AwaitFailover(killed *RedisNode)
	// Return starts a killed node, as a replica if another has taken its place.
	Return(*RedisNode)
	// AwaitWhole waits until all nodes are there and all replicas have what masters have.
	AwaitWhole()
}

// Lose kills a master so that what is written within fn is on none of its replicas:
// they are frozen and cut off meanwhile.
func Lose(set RedisSet, master *RedisNode, fn func()) {
	master.t.Helper()
	frozen := map[*RedisNode]bool{}
	defer func() {
		for r := range frozen {
			r.Thaw()
		}
	}()
	// One that others do not take for a replica yet may connect.
	Await(master.t, master.Addr()+" is without replicas", 10*time.Second, func() bool {
		for _, r := range set.ReplicasOf(master) {
			if !frozen[r] {
				r.Freeze()
				frozen[r] = true
			}
		}
		master.Do("CLIENT", "KILL", "TYPE", "replica")
		return len(frozen) > 0 && master.Info("replication", "connected_slaves") == "0"
	})
	fn()
	master.Kill()
}

// RedisSentinel is a master, two replicas and three Sentinels.
type RedisSentinel struct {
	t         testing.TB
	nodes     []*RedisNode
	sentinels []*RedisNode
}

var _, _ RedisSet = (*RedisSentinel)(nil), (*RedisCluster)(nil)

// sentinelMaster is what the Sentinels call it.
const sentinelMaster = "weir"

// StartRedisSentinel starts all of them and waits until they know each other.
func StartRedisSentinel(t testing.TB) *RedisSentinel {
	t.Helper()
	port := FreePorts(t, 6)
	s := &RedisSentinel{t: t}
	for i := range 3 {
		// Replicas of one that was killed and came back begin at once.
		n := newRedisNode(t, port+i, "everysec", "--repl-diskless-sync-delay", "0")
		s.nodes = append(s.nodes, n)
		if i == 0 {
			n.Start()
		} else {
			n.Start("--replicaof", "127.0.0.1", strconv.Itoa(port))
		}
	}
	for i := range 3 {
		n := &RedisNode{t: t, dir: t.TempDir(), port: port + 3 + i}
		conf := filepath.Join(n.dir, "sentinel.conf")
		text := fmt.Sprintf("port %[1]d\nbind 127.0.0.1\ndir %[2]s\nsentinel monitor %[3]s 127.0.0.1 %[4]d 2\n"+
			"sentinel down-after-milliseconds %[3]s %[5]d\nsentinel failover-timeout %[3]s %[6]d\nsentinel parallel-syncs %[3]s 2\n",
			n.port, n.dir, sentinelMaster, port, redisSilence.Milliseconds(), 2*redisSilence.Milliseconds())
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.sentinels = append(s.sentinels, n)
		n.args = []string{conf, "--sentinel"}
		n.Start()
	}
	s.AwaitWhole()
	return s
}

// URL names the Sentinels.
func (s *RedisSentinel) URL() string {
	return "redis-sentinel://" + addrs(s.sentinels) + "/" + sentinelMaster + "/0"
}

// Nodes are the three with data.
func (s *RedisSentinel) Nodes() []*RedisNode { return s.nodes }

// Masters is the one that most Sentinels name; none while they do not agree.
func (s *RedisSentinel) Masters() []*RedisNode {
	votes := map[string]int{}
	for _, sentinel := range s.sentinels {
		out, err := sentinel.Try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster)
		if host, port, ok := strings.Cut(out, "\n"); err == nil && ok {
			votes[net.JoinHostPort(host, port)]++
		}
	}
	for _, n := range s.nodes {
		if votes[n.Addr()] > len(s.sentinels)/2 {
			return []*RedisNode{n}
		}
	}
	return nil
}

// ReplicasOf are the other two.
func (s *RedisSentinel) ReplicasOf(master *RedisNode) []*RedisNode {
	var all []*RedisNode
	for _, n := range s.nodes {
		if n != master {
			all = append(all, n)
		}
	}
	return all
}

// AwaitFailover waits until another is master.
func (s *RedisSentinel) AwaitFailover(killed *RedisNode) {
	s.t.Helper()
	Await(s.t, "the Sentinels have another master than "+killed.Addr(), redisFailover, func() bool {
		m := s.Masters()
		return len(m) == 1 && m[0] != killed && m[0].Info("replication", "role") == "master"
	})
}

// Return starts a killed node as what it is now.
func (s *RedisSentinel) Return(n *RedisNode) {
	s.t.Helper()
	if m := s.Masters(); len(m) == 1 && m[0] != n {
		n.Start("--replicaof", "127.0.0.1", strconv.Itoa(m[0].port))
		return
	}
	n.Start()
}

// Promote makes another node master in good order.
func (s *RedisSentinel) Promote() {
	s.t.Helper()
	old := s.Masters()
	Await(s.t, "the Sentinels begin a failover", redisFailover, func() bool {
		_, err := s.sentinels[0].Try("SENTINEL", "FAILOVER", sentinelMaster)
		return err == nil
	})
	if len(old) == 1 {
		s.AwaitFailover(old[0])
	}
}

// AwaitWhole waits until two replicas follow the master, and all Sentinels know it.
func (s *RedisSentinel) AwaitWhole() {
	s.t.Helper()
	Await(s.t, "two replicas follow the master, as three Sentinels know", redisFailover, func() bool {
		m := s.Masters()
		if len(m) != 1 || !followed(m[0], 2) {
			return false
		}
		for _, sentinel := range s.sentinels {
			// "…name=weir,status=ok,address=127.0.0.1:6379,slaves=2,sentinels=3"
			if info := sentinel.Info("sentinel", "master0"); !strings.Contains(info, "status=ok,address="+m[0].Addr()+",slaves=2,sentinels=3") {
				return false
			}
		}
		return true
	})
}

// followed says whether n replicas follow a master and have all that it has.
func followed(master *RedisNode, n int) bool {
	if master.Info("replication", "role") != "master" {
		return false
	}
	for i := range n {
		// "ip=127.0.0.1,port=6380,state=online,offset=1234,lag=0"
		if !strings.Contains(master.Info("replication", fmt.Sprintf("slave%d", i)), "state=online") {
			return false
		}
	}
	return true
}

func addrs(nodes []*RedisNode) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Addr())
	}
	return strings.Join(all, ",")
}
