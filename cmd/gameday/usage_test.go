package main

import (
	"strings"
	"testing"
)

// TestEveryCommandSaysWhatItDoes keeps each command's help whole.
func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	for _, command := range newRoot().Commands() {
		if command.Hidden {
			continue
		}
		name := command.Name()
		if command.Short == "" || command.Long == "" || !strings.HasPrefix(command.Long, name) {
			t.Errorf("%s: its help does not say what it does", name)
		}
		if !strings.Contains(command.Long, "exits with") && !strings.Contains(command.Long, "Exit codes") {
			t.Errorf("%s: its help does not say how it exits", name)
		}
		if !strings.Contains(command.Example, "gameday "+name) {
			t.Errorf("%s: its help has no example", name)
		}
		for line := range strings.Lines(command.Long + "\n" + command.Example) {
			if len(strings.TrimRight(line, "\n")) > 84 {
				t.Errorf("%s: its help is too wide: %s", name, line)
			}
		}
	}
}
