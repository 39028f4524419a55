package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, now, stop := signals()
	defer stop()
	return cli(ctx, os.Args[1:], &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: now})
}

// signals ends the context at the first SIGINT or SIGTERM, and closes now at
// the second, for who is still draining.
func signals() (ctx context.Context, now <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan os.Signal, 2)
	at := make(chan struct{})
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-got
		cancel()
		<-got
		close(at)
	}() // ends with the process: nothing waits for a second signal that never comes
	return ctx, at, func() { signal.Stop(got); cancel() }
}
