package gateway

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for _, c := range []struct {
		text   string
		remote bool
		code   string // "": good
	}{
		{"127.0.0.1:9092", false, ""},
		{"127.8.9.1:0", false, ""},
		{"[::1]:9092", false, ""},
		{"localhost:9092", false, ""},
		{"10.0.0.1:9092", false, "remote-not-allowed"},
		{"10.0.0.1:9092", true, ""},
		{"localhost.evil.example:9092", false, "remote-not-allowed"},
		{":9092", false, "remote-not-allowed"},
		{":9092", true, "usage"},
		{"0.0.0.0:9092", true, "usage"},
		{"127.0.0.1", false, "usage"},
		{"127.0.0.1:http", false, "usage"},
		{"127.0.0.1:65536", false, "usage"},
	} {
		_, err := checkAddress("--listen", c.text, c.remote)
		var ue *UserError
		if errors.As(err, &ue); ue == nil && c.code != "" || ue != nil && ue.Code != c.code {
			t.Errorf("%s, remote %t: %v, want code %q", c.text, c.remote, err, c.code)
		}
	}
}

func TestHolder(t *testing.T) {
	proc := t.TempDir()
	for name, content := range map[string]string{
		"net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
			"   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n" +
			"   1: 0100007F:2385 0100007F:2384 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n",
		"17/comm":   "java\n",
		"self/comm": "test\n",
	} {
		file := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(proc, "17", "fd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for fd, inode := range map[string]string{"3": "4712", "5": "4711"} {
		if err := os.Symlink("socket:["+inode+"]", filepath.Join(proc, "17", "fd", fd)); err != nil {
			t.Fatal(err)
		}
	}
	if name, pid := holder(proc, 0x2384); name != "java" || pid != 17 {
		t.Errorf("port 9092 is held by %q, pid %d; want java, 17", name, pid)
	}
	if _, pid := holder(proc, 0x2385); pid != 0 {
		t.Errorf("port 9093 is only connected from, but said to be held by %d", pid)
	}
	if _, pid := holder(filepath.Join(proc, "none"), 9092); pid != 0 {
		t.Errorf("without a proc file system: pid %d", pid)
	}
}

func TestFreePorts(t *testing.T) {
	first, err := freePorts(t.Context(), "127.0.0.1", 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
