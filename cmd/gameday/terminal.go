package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/scenarios"
)

// isTerminal tells whether w is a terminal, and how wide it is.
func isTerminal(w io.Writer) (width int, yes bool) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 80, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// coloured decides whether to write colours to w. NO_COLOR is honoured
// (https://no-color.org).
func (g *globalFlags) coloured(w io.Writer) (bool, error) {
	switch g.colour {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		_, yes := isTerminal(w)
		return yes && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", nil
	}
	return false, &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("--color is %q; it can be auto, always or never", g.colour)}
}

// showDiagnostics writes what is wrong with a configuration. It returns the error
// to exit with if there are errors among it.
func (g *globalFlags) showDiagnostics(w io.Writer, diagnostics *scenarios.Diagnostics) error {
	colour, err := g.coloured(w)
	if err != nil {
		return err
	}
	width, _ := isTerminal(w)
	if err := diagnostics.WriteText(w, width, colour); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	if diagnostics.HasErrors() {
		return &exitError{code: experiments.Invalid.ExitCode()}
	}
	return nil
}

// lines writes texts, one a line, and keeps the first error.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) printf(format string, values ...any) {
	if l.err != nil {
		return
	}
	if _, err := fmt.Fprintf(l.w, format, values...); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		l.err = fmt.Errorf("write the output: %w", err)
	}
}

// indented writes a value as JSON for programs, which people can read too.
func indented(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
