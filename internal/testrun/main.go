// Command testrun is what `./task test` runs: it brings the real parts that
// stories need, then runs every test with -race. A part that cannot be had is
// named and its stories are left out; in CI that is a failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"weir/internal/parts"
)

func main() { os.Exit(run()) }

func run() int {
	only := flag.String("only", "", "unit, real, franz or fuzz instead of unit and real")
	fuzztime := flag.String("fuzztime", "30s", "how long each fuzz target runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	failed := false
	step := func(err error) {
		if err != nil {
			fmt.Println(err)
			failed = true
		}
	}
	switch *only {
	case "fuzz":
		step(fuzz(ctx, *fuzztime))
	case "unit":
		step(unit(ctx, "./..."))
	case "real":
		step(real(ctx, "real"))
	case "franz":
		step(real(ctx, "real,franz", "-run", "^TestFranzSuite$"))
	case "":
		packages, err := withoutStories(ctx)
		if err != nil {
			step(err)
			break
		}
		step(goTool(ctx, "vet", "./e2e")) // without the tag, too
		step(unit(ctx, packages...))
		step(real(ctx, "real")) // of e2e all, the embedded ones too
	default:
		fmt.Printf("-only %s: want unit, real, franz or fuzz\n", *only)
		return 2
	}
	if failed {
		return 1
	}
	return 0
}

func unit(ctx context.Context, packages ...string) error {
	return test(ctx, "pkgname-and-test-fails", append([]string{"-race", "-timeout", "15m"}, packages...)...)
}

// withoutStories are all packages but e2e.
func withoutStories(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list ./...: %w", err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return p == "weir/e2e" }), nil
}

// real runs the stories of those build tags on real parts, one package after the other.
func real(ctx context.Context, tags string, flags ...string) error {
	missing := parts.Provision(ctx, ".", os.Stdout)
	if len(missing) == 0 {
		args := append([]string{"-race", "-tags", tags, "-timeout", "40m", "-p", "1", "-parallel", "2"}, flags...)
		if err := test(ctx, "testname", append(args, "./e2e/...", "./internal/parts/...")...); err != nil || len(flags) > 0 {
			return err
		}
		return test(ctx, "testname", append(args, "-run", "^TestReal", "./metering")...)
	}
	for _, err := range missing {
		fmt.Println("cannot be had here:", err)
	}
	if len(flags) == 0 {
		if err := unit(ctx, "./e2e/..."); err != nil {
			return err
		}
	}
	fmt.Println("the stories on real Kafka, Redis and clients did NOT run")
	if os.Getenv("CI") != "" {
		return fmt.Errorf("in CI every part must be there: %d missing", len(missing))
	}
	return nil
}

// fuzz runs every fuzz target of the module for a while.
func fuzz(ctx context.Context, each string) error {
	files, err := filepath.Glob("*/*_test.go")
	if err != nil {
		return err
	}
	deeper, err := filepath.Glob("*/*/*_test.go")
	if err != nil {
		return err
	}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, ok := strings.CutPrefix(line, "func Fuzz")
			if !ok {
				continue
			}
			name, _, _ = strings.Cut(name, "(")
			if err := goTool(ctx, "test", "-run", "^$", "-fuzz", "^Fuzz"+name+"$", "-fuzztime", each, "./"+filepath.Dir(file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// test is `go test` that tells of failures once more, whole, at the end. What tests that
// passed have logged, numbers of stories among it, is in the file of GOTESTSUM_JSONFILE.
func test(ctx context.Context, format string, args ...string) error {
	return goTool(ctx, append([]string{"tool", "-modfile=tools/go.mod", "gotestsum", "--format", format, "--"}, args...)...)
}

func goTool(ctx context.Context, args ...string) error {
	fmt.Println("+ go", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}
