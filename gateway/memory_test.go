package gateway

import (
	"os"
	"path/filepath"
	"testing"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "1024": 1024, "64MiB": 64 << 20, "1.5GiB": 3 << 29, "2 GiB": 2 << 30, "100KiB": 100 << 10, "7B": 7, "1TiB": 1 << 40,
	} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "MiB", "1GB", "1 gib", "1e9", "99999999TiB", "0x10", "1GiB2"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestProcessMemory(t *testing.T) {
	const meminfo = "MemTotal:       16384 kB\nMemFree:         1 kB\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64 // 0: unknown
	}{
		"nothing known":      {nil, 0},
		"the machine's":      {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": "max\n"}, 16 << 20},
		"a container's (v2)": {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": "4194304\n"}, 4 << 20},
		"a container's (v1)": {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": "8388608\n"}, 8 << 20},
		"v1 without a limit": {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16 << 20},
		"of a group above (v2)": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/weir.service\n",
			"sys/fs/cgroup/system.slice/memory.max": "2097152\n", "sys/fs/cgroup/system.slice/weir.service/memory.max": "max\n",
		}, 2 << 20},
		"of its group (v1)": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/other\n4:memory:/weir\n", "sys/fs/cgroup/memory/weir/memory.limit_in_bytes": "1048576\n",
			"sys/fs/cgroup/memory/other/memory.limit_in_bytes": "4096\n",
		}, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range tc.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := processMemory(root); got != tc.want || ok != (tc.want != 0) {
				t.Errorf("%d, %v; want %d", got, ok, tc.want)
			}
		})
	}
}
