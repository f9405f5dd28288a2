// Command run starts and stops the Kubernetes that tests use.
//
//	go run ./internal/cluster/run up [--nodes 10]   start it, print its KUBECONFIG
//	go run ./internal/cluster/run down              stop it, by pid
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cache, err := cluster.CacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "dev")
	if len(args) == 0 {
		return fmt.Errorf("say up or down")
	}
	switch args[0] {
	case "up":
		flags := flag.NewFlagSet("up", flag.ContinueOnError)
		nodes := flags.Int("nodes", 10, "number of simulated nodes")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		began := time.Now()
		c, err := cluster.ControlPlane(ctx, cluster.Options{Dir: dir, Nodes: *nodes, Progress: os.Stderr})
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "up after %s; stop it with: make cluster-down\n", time.Since(began).Round(100*time.Millisecond))
		fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig)
		return nil
	case "down":
		return cluster.StopDir(dir)
	}
	return fmt.Errorf("%q is neither up nor down", args[0])
}
