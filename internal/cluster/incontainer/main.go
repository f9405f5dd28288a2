// Command incontainer is what runs in the containers of the test cluster. Its name
// says what it does, as with busybox:
//
//	pause          holds a pod's namespaces, and reaps what ends in them
//	shop           serves HTTP: /healthz, /name, and / which asks $UPSTREAM first, if set
//	kill -s SIG PID
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "pause":
		err = pause()
	case "shop":
		err = shop()
	case "kill":
		err = kill(os.Args[1:])
	default:
		err = fmt.Errorf("%s is neither pause, shop nor kill", name)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// pause waits for its end. It is process 1 of a pod whose containers share it, so it
// reaps.
func pause() error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return nil
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

// drain is how long the shop goes on serving after SIGTERM, so that whoever sends it
// requests has time to learn that it ends.
const drain = time.Second

// shop serves until SIGTERM. $START_AFTER delays it, as a real program that loads
// its data would be.
func shop() error {
	if text := os.Getenv("START_AFTER"); text != "" {
		wait, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("START_AFTER: %w", err)
		}
		time.Sleep(wait)
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	var ending atomic.Bool
	upstream, client := os.Getenv("UPSTREAM"), http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if ending.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/name", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if upstream != "" {
			if err := ask(r.Context(), &client, upstream); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		fmt.Fprintf(w, "welcome to %s\n", name)
	})
	server := &http.Server{Addr: ":8080", Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() {
		<-stop
		ending.Store(true)
		time.Sleep(drain)
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		ended <- server.Shutdown(ctx)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return err
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "HUP": syscall.SIGHUP,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "ABRT": syscall.SIGABRT, "KILL": syscall.SIGKILL,
}

func kill(args []string) error {
	if len(args) != 3 || args[0] != "-s" || signals[args[1]] == 0 {
		return fmt.Errorf("usage: kill -s SIGNAL PID")
	}
	pid, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	if err := syscall.Kill(pid, signals[args[1]]); err != nil {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	return nil
}
