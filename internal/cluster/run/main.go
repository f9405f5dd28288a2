// Command run starts and stops the Kubernetes that tests use.
//
//	go run ./internal/cluster/run build                          build what is missing
//	go run ./internal/cluster/run up [--nodes 10] [--dir DIR]    start it, print its KUBECONFIG
//	go run ./internal/cluster/run down [--dir DIR]               stop it, by pid
package main

import (
	"context"
	"errors"
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
	if len(args) == 0 {
		return errors.New("say build, up or down")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("dir", filepath.Join(cache, "dev"), "folder of the cluster; what is in it is removed by up")
	nodes := flags.Int("nodes", 10, "number of simulated nodes")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "build":
		return cluster.Build(ctx, os.Stderr)
	case "up":
		began := time.Now()
		c, err := cluster.ControlPlane(ctx, cluster.Options{Dir: *dir, Nodes: *nodes, Progress: os.Stderr})
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "up after %s; stop it with: make cluster-down\n", time.Since(began).Round(100*time.Millisecond))
		fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig)
		return nil
	case "down":
		return cluster.StopDir(*dir)
	}
	return fmt.Errorf("%q is none of build, up and down", args[0])
}
