package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
)

// The runner and its watchdog talk over the watchdog's standard streams. The
// watchdog says "armed" once; the runner says "beat" every beatPace and "done" at
// the end. The end of the stream without "done" means that the runner is dead;
// silence for beatLimit, that it hangs: then it is killed, so that it cannot come
// back and break things late. Neither needs a message to get through.
const (
	armedWord = "armed"
	beatWord  = "beat"
	doneWord  = "done"
	// settingsWord begins a line with what the variables of the scenario were set with.
	// Secrets are among them, which is why they come this way, and reach no file.
	settingsWord = "settings"

	beatPace  = time.Second
	beatLimit = 10 * time.Second
	armWithin = 10 * time.Second
	// dismissWithin is how long the watchdog may take to end when it is told to.
	dismissWithin = 5 * time.Second
)

// watchdog is the runner's end.
type watchdog struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	stop    context.CancelFunc
	beating chan struct{} // closed when nobody beats any more
	waited  chan error
}

// startWatchdog starts the watchdog of a run and returns when it says that it is
// armed. With store, the address of the shared store, it brings what it mended there. It
// beats as long as alive says so, and calls gone if the watchdog ends before it is
// dismissed.
func startWatchdog(ctx context.Context, root, dir, settings, store string, alive func() bool, gone func()) (*watchdog, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "watchdog.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the watchdog's log: %w", err)
	}
	process := exec.Command(program)
	process.Args = []string{"gameday", "watchdog", "--state", root, "--parent", strconv.Itoa(os.Getpid()), dir}
	if store != "" {
		// Its address may hold a password, which other users could read in the arguments.
		process.Env = append(os.Environ(), storeVariable+"="+store)
	}
	process.Stderr = log
	// A session of its own: what ends the runner's terminal or its process group does
	// not end the watchdog.
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	process.Dir = "/"
	stdin, err := process.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to the watchdog: %w", err)
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to the watchdog: %w", err)
	}
	// It has the log as its own file by then, or never will.
	if err := errors.Join(process.Start(), log.Close()); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	w := &watchdog{process: process, stdin: stdin, beating: make(chan struct{}), waited: make(chan error, 1)}
	armed := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err == nil && strings.TrimSpace(line) != armedWord {
			err = fmt.Errorf("it said %q", line)
		}
		armed <- err
		// Reading must end before Wait, which closes the pipe.
		w.waited <- process.Wait()
	}()
	select {
	case err = <-armed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(armWithin):
		err = fmt.Errorf("it was not armed within %s", armWithin)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("the watchdog did not start: %w; its log is %s", err, log.Name()), process.Process.Kill(), stdin.Close())
		return nil, err
	}
	if settings != "" {
		if _, err := io.WriteString(stdin, settingsWord+" "+settings+"\n"); err != nil {
			return nil, errors.Join(fmt.Errorf("the watchdog is gone: %w; its log is %s", err, log.Name()), stdin.Close())
		}
	}
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	go w.beat(beating, alive, gone)
	return w, nil
}

func (w *watchdog) beat(ctx context.Context, alive func() bool, gone func()) {
	defer close(w.beating)
	ticker := time.NewTicker(beatPace)
	defer ticker.Stop()
	for {
		if alive() {
			if _, err := io.WriteString(w.stdin, beatWord+"\n"); err != nil {
				gone()
				return
			}
		}
		select {
		case <-ticker.C:
		case err := <-w.waited:
			w.waited <- err
			gone()
			return
		case <-ctx.Done():
			return
		}
	}
}

// dismiss tells the watchdog that everything is mended, and waits for its end.
func (w *watchdog) dismiss() error {
	w.stop()
	<-w.beating
	if _, err := io.WriteString(w.stdin, doneWord+"\n"); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("dismiss the watchdog: %w", err)
	}
	if err := w.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("dismiss the watchdog: %w", err)
	}
	// Everything is mended: a watchdog that hangs must not keep the run from ending.
	hang := time.AfterFunc(dismissWithin, func() {
		if err := w.process.Process.Kill(); err != nil {
			return // it has ended after all
		}
	})
	defer hang.Stop()
	var exit *exec.ExitError
	if err := <-w.waited; err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for the watchdog: %w", err)
	}
	return nil
}

// release leaves the watchdog alone with what is not mended yet.
func (w *watchdog) release() {
	w.stop()
	<-w.beating
	if err := w.stdin.Close(); err != nil {
		return // it is gone, or sees our end soon
	}
}

// The watchdog's own end.

// The watchdog gives each hit a while, and goes round those that are left until
// its patience is over.
const (
	watchdogWithin   = 15 * time.Second
	watchdogPatience = 10 * time.Minute
	lockPatience     = 30 * time.Second
)

func newWatchdogCommand(global *globalFlags) *cobra.Command {
	var parent int
	cmd := &cobra.Command{
		Use:    "watchdog RUN-DIRECTORY",
		Short:  "Mend what a run broke when its runner dies (started by run)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Only the end of the runner ends the watchdog.
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
			return guardRun(cmd.Context(), global, args[0], parent, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&parent, "parent", 0, "process id of the runner")
	return cmd
}

func guardRun(ctx context.Context, global *globalFlags, dir string, parent int, stdin io.Reader, stdout, stderr io.Writer) error {
	if _, err := fmt.Fprintln(stdout, armedWord); err != nil {
		return fmt.Errorf("say armed: %w", err)
	}
	given, done := watchRunner(stdin, parent, stderr)
	if done {
		return nil
	}
	out := &lines{w: stderr}
	out.printf("%s the runner is gone; mending what it left\n", time.Now().Format(time.RFC3339))
	deadline := time.Now().Add(watchdogPatience)
	for {
		left, err := mend(ctx, global, dir, watchdogWithin, lockPatience, given, stderr)
		if err == nil && left == 0 {
			out.printf("%s everything is mended\n", time.Now().Format(time.RFC3339))
			return out.err
		}
		if err != nil {
			out.printf("%s %v\n", time.Now().Format(time.RFC3339), err)
		}
		if time.Now().After(deadline) {
			if err := tellUnmended(ctx, dir, given, stderr); err != nil {
				out.printf("%s %v\n", time.Now().Format(time.RFC3339), err)
			}
			return exitWith(experiments.NotRestored, fmt.Errorf("%d hits are not mended; `gameday recover %s` tries again", left, filepath.Base(dir)))
		}
		time.Sleep(time.Second)
	}
}

// watchRunner returns when the runner is done (true) or gone (false), with what the
// runner said that variables were set with.
func watchRunner(stdin io.Reader, parent int, stderr io.Writer) (given *variables, done bool) {
	given = &variables{}
	words := make(chan string)
	go func() {
		defer close(words)
		for scanner := bufio.NewScanner(stdin); scanner.Scan(); {
			words <- scanner.Text()
		}
	}()
	silence := time.NewTimer(beatLimit)
	for {
		select {
		case word, open := <-words:
			if !open || word == doneWord {
				return given, open
			}
			if settings, found := strings.CutPrefix(word, settingsWord+" "); found {
				given = readSettings(settings)
			}
			silence.Reset(beatLimit)
		case <-silence.C:
			out := &lines{w: stderr}
			out.printf("%s the runner has been silent for %s; ending it\n", time.Now().Format(time.RFC3339), beatLimit)
			// Our parent cannot have been replaced by another process of the same number:
			// it would not be our parent.
			if parent > 0 && os.Getppid() == parent {
				if err := syscall.Kill(parent, syscall.SIGKILL); err != nil {
					out.printf("%s end the runner: %v\n", time.Now().Format(time.RFC3339), err)
				}
			}
			return given, false
		}
	}
}
