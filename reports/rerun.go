package reports

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// rerun is how to run the same again, and how to render this again.
type rerun struct {
	Where    string   // "In the folder /home/ada/shop on ci-7:"
	Commands []string // for a POSIX shell
	Notes    []string // what the commands cannot hold
}

// line is the end of an origin: "shop.hcl:31", "shop.hcl:31,1-8".
var line = regexp.MustCompile(`:\d+(,\d+)?(-\d+(,\d+)?)?$`)

// commandLimit bounds one argument of a command, so that a run with a variable of a
// megabyte leaves a page that opens.
const commandLimit = 2000

func (o outliner) rerun() rerun {
	again := o.r.Rerun
	if again == nil {
		// A result that does not say how it was started: one folder is one configuration.
		folder := path.Dir(line.ReplaceAllString(clean(o.r.Origin, commandLimit), ""))
		return rerun{Commands: []string{
			fmt.Sprintf("gameday run %s --scenario %s --seed %d", shellQuoted(folder), shellQuoted(clean(o.r.Scenario, commandLimit)), o.r.Seed),
			o.command("report"),
		}}
	}
	var words []string
	// Where the whole is far too long to be typed, each word is cut to its share.
	whole := 0
	for _, word := range again.Command {
		whole += len(word)
	}
	for _, word := range again.Command {
		if share := 2 * commandLimit / len(again.Command); whole > 2*commandLimit && len(word) > share {
			word = clean(word, share)
		}
		words = append(words, shellQuoted(word))
	}
	list := rerun{Commands: []string{strings.Join(words, " "), o.command("report")}}
	if again.Directory != "" {
		list.Where = "In the folder " + o.clean(again.Directory)
		if o.r.Host != "" {
			list.Where += " on " + o.clean(o.r.Host)
		}
		list.Where += ":"
	}
	for _, name := range again.Secrets {
		list.Notes = append(list.Notes, fmt.Sprintf("var.%s is secret, so its value is not stored: set GAMEDAY_VAR_%s in the environment before.", o.clean(name), o.clean(name)))
	}
	if g := o.r.Gate; g != nil && g.Override != nil {
		list.Notes = append(list.Notes, "The error budget policy is asked again: an override is for one run.")
	}
	return list
}

// command is a subcommand on this run, with the folder that the run is in unless it
// is the usual one.
func (o outliner) command(name string) string {
	text := "gameday " + name + " " + shellQuoted(clean(o.r.Run, commandLimit))
	if again := o.r.Rerun; again != nil && again.State != "" {
		text += " --state " + shellQuoted(again.State)
	}
	return text
}
