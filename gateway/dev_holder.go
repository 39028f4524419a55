package gateway

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder finds the process that listens on a TCP port, by Linux's proc file
// system at proc; pid 0 if it cannot tell (another system, another user's
// process).
func holder(proc string, port int) (name string, pid int) {
	sockets := listening(proc, port)
	if len(sockets) == 0 {
		return "", 0
	}
	links, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return "", 0
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !sockets[target] {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue
		}
		return strings.TrimSpace(string(comm)), pid
	}
	return "", 0
}

// listening returns the sockets that listen on port, as fd links name them.
// Lines of proc(5) net/tcp: number, local address:port in hex, remote, state
// (0A: LISTEN), queues, timer, retransmits, uid, timeout, inode.
func listening(proc string, port int) map[string]bool {
	sockets := make(map[string]bool)
	suffix := fmt.Sprintf(":%04X", port)
	for _, file := range []string{"net/tcp", "net/tcp6"} {
		data, err := os.ReadFile(filepath.Join(proc, file))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(data) {
			f := strings.Fields(string(line))
			if len(f) >= 10 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	return sockets
}
