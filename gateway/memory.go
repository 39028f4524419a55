package gateway

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// memoryPart of what this process may use is for the frames of clients: the rest
	// is for connections, TLS, what is decoded, and what waits for the collector.
	memoryPart = 0.60
	// heapPart of the same is what the collector works towards, if GOMEMLIMIT does
	// not say otherwise.
	heapPart = 0.90
	// minMemory is less than which no gateway can work with, in bytes.
	minMemory = 16 << 20
)

// Bytes is a number of bytes, written as 1GiB, 64MiB, 100KiB or plain digits.
type Bytes int64

func sizeText() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(B|KiB|MiB|GiB|TiB|)$`)
}

// parseBytes reads a number of bytes as Bytes has it.
func parseBytes(text string) (Bytes, error) {
	parts := sizeText().FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("want a size like 512MiB or 2GiB, found %q", text)
	}
	shift := map[string]int{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[parts[2]]
	n, err := strconv.ParseFloat(parts[1], 64)
	if n = math.Ldexp(n, shift); err != nil || n >= math.MaxInt64/8 {
		return 0, fmt.Errorf("%q is too large a size", text)
	}
	return Bytes(n), nil
}

// memory is what frames may take in this process, in bytes: what the configuration
// says, or a part of what the process may use; 0, no bound, where that is unknown.
func (c *Config) memory() int64 {
	if c.Limits.Memory > 0 {
		return int64(c.Limits.Memory)
	}
	all, _ := processMemory("/")
	return int64(memoryPart * float64(all))
}

// limitHeap lets the collector keep the process within what it may use, unless
// GOMEMLIMIT says where.
func limitHeap(log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if all, ok := processMemory("/"); ok {
		limit := int64(heapPart * float64(all))
		debug.SetMemoryLimit(limit)
		log.Debug("memory limit of the runtime", "bytes", limit, "of", all)
	}
}

// processMemory is how many bytes this process may use: the least of the machine's
// memory and the limits of its control groups (v1 and v2), below root.
func processMemory(root string) (n int64, ok bool) {
	n = math.MaxInt64
	if data, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		n = min(n, totalOf(string(data)))
	}
	for _, file := range cgroupFiles(root) {
		data, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // "max" is none
		if err == nil && limit > 0 {
			n = min(n, limit)
		}
	}
	if n == math.MaxInt64 {
		return 0, false
	}
	return n, true
}

// totalOf reads MemTotal of /proc/meminfo (proc(5)), in bytes.
func totalOf(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if rest, found := strings.CutPrefix(line, "MemTotal:"); found {
			if kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return math.MaxInt64
}

// cgroupFiles are where limits of this process may stand: of its control group and
// those above it, as /proc/self/cgroup names it; in a container that is often the
// root alone.
func cgroupFiles(root string) []string {
	files := []string{
		filepath.Join(root, "sys/fs/cgroup/memory.max"),
		filepath.Join(root, "sys/fs/cgroup/memory/memory.limit_in_bytes"),
	}
	data, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return files
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy:controllers:path (cgroups(7))
		if len(parts) != 3 {
			continue
		}
		dir, name := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			if dir, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"; parts[1] != "memory" {
				continue
			}
		}
		for at := filepath.Clean("/" + parts[2]); at != "/"; at = filepath.Dir(at) {
			files = append(files, filepath.Join(root, dir, at, name))
		}
	}
	return files
}
