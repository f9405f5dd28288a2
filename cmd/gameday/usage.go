package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gameday-sh/gameday/scenarios"
)

// wants checks the number of arguments: at least few of them and, unless many is
// negative, at most many. noun says what one is.
func wants(few, many int, noun string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < few:
			return fmt.Errorf("%s needs %s; `%s --help` has examples", cmd.Name(), noun, cmd.CommandPath())
		case many == 0 && len(args) > 0:
			return fmt.Errorf("%s takes no arguments, and %q is one; write: %s", cmd.Name(), args[0], useLine(cmd))
		case many >= 0 && len(args) > many:
			return fmt.Errorf("%s takes %s, and %q is one too many; write: %s", cmd.Name(), noun, args[many], useLine(cmd))
		}
		return nil
	}
}

func useLine(cmd *cobra.Command) string { return cmd.Parent().CommandPath() + " " + cmd.Use }

// unknownCommand says what to type instead of a command that there is not.
func unknownCommand(root *cobra.Command, name string) error {
	var known []string
	for _, command := range root.Commands() {
		if command.IsAvailableCommand() || command.Name() == "help" {
			known = append(known, command.Name())
		}
	}
	if meant := nearest(name, known); meant != "" {
		return fmt.Errorf("there is no command %q; did you mean %q?", name, meant)
	}
	if scenarioFile(name) {
		return fmt.Errorf("there is no command %q; did you mean `gameday run %s`?", name, name)
	}
	return fmt.Errorf("there is no command %q; there is: %s", name, strings.Join(known, ", "))
}

func scenarioFile(name string) bool {
	return strings.HasSuffix(name, ".hcl") || strings.Contains(" "+strings.Join(exampleNames(), " ")+" ", " "+name+" ")
}

// exampleNames lists the shipped examples, which `run` knows by name.
func exampleNames() []string {
	files, err := fs.Glob(scenarios.Examples, "examples/*.hcl")
	if err != nil {
		return nil
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(path.Base(file), ".hcl"))
	}
	return names
}

// flagError says in words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return fmt.Errorf("%s has no flag -%s; `%s --help` lists its flags", cmd.Name(), unknown.GetSpecifiedName(), cmd.CommandPath())
		}
		var known []string
		add := func(flag *pflag.Flag) { known = append(known, flag.Name) }
		cmd.Flags().VisitAll(add)
		cmd.InheritedFlags().VisitAll(add)
		if meant := nearest(unknown.GetSpecifiedName(), known); meant != "" {
			return fmt.Errorf("%s has no flag --%s; did you mean --%s?", cmd.Name(), unknown.GetSpecifiedName(), meant)
		}
		return fmt.Errorf("%s has no flag --%s; `%s --help` lists its flags", cmd.Name(), unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		kinds := map[string]string{
			"uint64": "a whole number from 0", "int": "a whole number", "float64": "a number",
			"bool": "true or false", "duration": "a duration such as 30s or 1m30s",
		}
		kind := kinds[flag.Value.Type()]
		if kind == "" {
			return err
		}
		return fmt.Errorf("--%s is %q; write %s", flag.Name, invalid.GetValue(), kind)
	case errors.As(err, &missing):
		return fmt.Errorf("--%s needs a value behind it; `%s --help` says which", missing.GetSpecifiedName(), cmd.CommandPath())
	}
	return err
}

// nearest gives the known word that got was most likely meant to be, or "".
func nearest(got string, known []string) string {
	best, least := "", 1+max(2, utf8.RuneCountInString(got)/3)
	for _, word := range known {
		if distance := levenshtein.Distance(got, word, nil); distance < least && distance < utf8.RuneCountInString(word) {
			best, least = word, distance
		}
	}
	return best
}

// newHelpCommand is help that knows when it has none.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does, with its flags and examples",
		Long:    "help says what a command does, with its flags and examples.\n\nIt exits with 0, or with 2 if there is no such command.",
		Example: "  gameday help run",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, _, err := cmd.Root().Find(args)
			if err != nil || found == cmd.Root() && len(args) > 0 {
				return unknownCommand(cmd.Root(), args[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// newCompletionCommand writes what a shell needs to complete commands and flags.
func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write what a shell needs to complete commands and flags",
		Long: `completion writes a script for bash, zsh, fish or powershell to standard output.

It exits with 0, or with 2 if it knows no such shell.`,
		Example: `  source <(gameday completion bash)
  gameday completion zsh > "${fpath[1]}/_gameday"
  gameday completion fish > ~/.config/fish/completions/gameday.fish`,
		Args:      wants(1, 1, "the name of a shell: "+strings.Join(shells, ", ")),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return fmt.Errorf("there is no completion for %q; there is: %s", args[0], strings.Join(shells, ", "))
		},
	}
}
