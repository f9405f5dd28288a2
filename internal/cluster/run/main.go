// Command run starts and stops the Kubernetes that tests use.
//
//	go run ./internal/cluster/run build                        build what is missing
//	go run ./internal/cluster/run up [--nodes 10] [--dir DIR]  start it, print its KUBECONFIG
//	go run ./internal/cluster/run down [--dir DIR]             stop it, by pid
//	go run ./internal/cluster/run e2e -- COMMAND ...           run a command beside a real node
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
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

var errUsage = errors.New("say build, up, down, or e2e -- COMMAND ARGS")

func run(ctx context.Context, args []string) (int, error) {
	cache, err := cluster.CacheDir()
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		return 0, errUsage
	}
	switch args[0] {
	case "build":
		return 0, cluster.Build(ctx, os.Stderr)
	case "up", "down":
		flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
		dir := flags.String("dir", filepath.Join(cache, "dev"), "folder of the cluster; up removes a cluster that is in it")
		nodes := flags.Int("nodes", 10, "number of simulated nodes")
		if err := flags.Parse(args[1:]); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return 0, nil // it was printed
			}
			return 0, err
		}
		if flags.NArg() > 0 {
			return 0, fmt.Errorf("%s takes no %q: name the folder with --dir", args[0], flags.Arg(0))
		}
		if *nodes < 0 {
			return 0, fmt.Errorf("--nodes %d: write how many simulated nodes there are to be", *nodes)
		}
		if args[0] == "down" {
			return 0, cluster.StopDir(*dir)
		}
		stop := "make cluster-down"
		if *dir != filepath.Join(cache, "dev") {
			stop = "go run ./internal/cluster/run down --dir " + *dir
		}
		return 0, up(ctx, *dir, *nodes, stop)
	case "e2e":
		if len(args) < 3 || args[1] != "--" {
			return 0, errUsage
		}
		return cluster.Node{Dir: filepath.Join(cache, "e2e"), Command: args[2:], Progress: os.Stderr}.Run(ctx)
	case "init": // what e2e starts within its namespaces
		return cluster.Init(args[1:])
	case "inside": // what init starts
		return cluster.Node{Dir: args[1], Command: args[3:], Progress: os.Stderr}.Inside(ctx)
	}
	return 0, fmt.Errorf("%q is unknown: %w", args[0], errUsage)
}

func up(ctx context.Context, dir string, nodes int, stop string) error {
	began := time.Now()
	c, err := cluster.ControlPlane(ctx, cluster.Options{Dir: dir, Nodes: nodes, Progress: os.Stderr})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "up after %s; stop it with: %s\n", time.Since(began).Round(100*time.Millisecond), stop)
	fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig)
	return nil
}
