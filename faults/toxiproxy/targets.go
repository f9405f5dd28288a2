package toxiproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	client "github.com/Shopify/toxiproxy/v2/client"
	"github.com/agext/levenshtein"

	"github.com/gameday-sh/gameday/experiments"
)

// Targets names the proxies that a fault hits; every kind has these attributes.
type Targets struct {
	Toxiproxy *Toxiproxy `hcl:"toxiproxy,optional" doc:"The toxiproxy connection; left out, the only one there is."`
	Proxy     string     `hcl:"proxy,optional" doc:"Name of the proxy to hit, or a pattern with * and ?." example:"payments"`
	Proxies   []string   `hcl:"proxies,optional" doc:"Names or patterns, to hit several proxies."`
}

// Validate checks that proxies are named one way.
func (t Targets) Validate() []experiments.Problem {
	var problems []experiments.Problem
	switch {
	case t.Proxy == "" && len(t.Proxies) == 0:
		problems = append(problems, experiments.Problem{Summary: "No proxy named", Detail: "Write proxy = \"payments\", or proxies = [\"payments\", \"stock-*\"]."})
	case t.Proxy != "" && len(t.Proxies) > 0:
		problems = append(problems, experiments.Problem{Attribute: "proxies", Summary: "Proxies named twice", Detail: "Write either proxy or proxies."})
	}
	for _, pattern := range t.Proxies {
		problems = append(problems, patternProblem("proxies", pattern)...)
	}
	return append(problems, patternProblem("proxy", t.Proxy)...)
}

func patternProblem(attribute, pattern string) []experiments.Problem {
	if _, err := path.Match(pattern, ""); err != nil {
		return []experiments.Problem{{Attribute: attribute, Summary: "Not a pattern", Detail: fmt.Sprintf("%q: a [ needs its ].", pattern)}}
	}
	return nil
}

// resolve finds the proxies in the server and checks that no other run is at work on
// one of them.
func (t Targets) resolve(ctx context.Context, api *api, d experiments.Draw) ([]client.Proxy, error) {
	patterns := t.Proxies
	if t.Proxy != "" {
		patterns = []string{t.Proxy}
	}
	if len(patterns) == 0 {
		return nil, errors.New("the fault names no proxy to hit")
	}
	all, err := api.proxies(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing proxies: %w", err)
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), ours)
	var picked []string
	for _, pattern := range patterns {
		found, err := matching(pattern, names)
		if err != nil {
			return nil, fmt.Errorf("toxiproxy at %s %w", api.url, err)
		}
		picked = append(picked, found...)
	}
	slices.Sort(picked)
	picked = slices.Compact(picked)

	targets := make([]client.Proxy, 0, len(picked))
	for _, name := range picked {
		if err := usableName(name); err != nil {
			return nil, err
		}
		if err := unoccupied(all, name, d); err != nil {
			return nil, err
		}
		proxy := all[name]
		if !proxy.Enabled {
			return nil, fmt.Errorf("proxy %s is disabled: nothing passes through it that a fault could break; enable it first", name)
		}
		targets = append(targets, proxy)
	}
	return targets, nil
}

// matching gives the names that a name or pattern means; none is an error.
func matching(pattern string, names []string) ([]string, error) {
	if slices.Contains(names, pattern) {
		return []string{pattern}, nil
	}
	var found []string
	for _, name := range names {
		matches, err := path.Match(pattern, name)
		if err != nil {
			return nil, fmt.Errorf("cannot match %q: %w", pattern, err)
		}
		if matches {
			found = append(found, name)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("has no proxy at all, and %q was asked for: create it, or declare it in the toxiproxy block", pattern)
	}
	if strings.ContainsAny(pattern, "*?[") {
		return nil, fmt.Errorf("has no proxy that matches %q; there are: %s", pattern, list(names))
	}
	near := slices.MinFunc(names, func(a, b string) int {
		return levenshtein.Distance(pattern, a, nil) - levenshtein.Distance(pattern, b, nil)
	})
	meant := ""
	if levenshtein.Distance(pattern, near, nil) <= max(2, len(pattern)/3) {
		meant = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, fmt.Errorf("has no proxy %q%s There are: %s", pattern, cmp.Or(meant, "."), list(names))
}

// list writes at most 20 names.
func list(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// usableName refuses names that toxiproxy takes but that no URL of its API reaches.
func usableName(name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("proxy %q: toxiproxy's API reaches no proxy of that name (it must not be empty, hold a / or be dots); rename it", name)
	}
	return nil
}

// prefix starts the name of everything that gameday leaves in a server.
const prefix = "gameday-"

// ours tells whether a proxy is one that gameday keeps beside others: a stand-in, a
// marker, or the claim of a process (see claim.go). Somebody's own proxy may be called
// gameday-something, too.
func ours(proxy string) bool {
	_, _, marked := splitAside(proxy)
	return marked || strings.HasPrefix(proxy, claimPrefix)
}

// splitAside takes gameday-<run>.<fault>.<round>.<proxy> apart into the mark and the
// proxy's name.
func splitAside(name string) (mark, proxy string, found bool) {
	parts := strings.SplitN(name, ".", 4)
	if len(parts) < 4 || !strings.HasPrefix(name, prefix) || strings.Contains(parts[0], ":") {
		return "", "", false
	}
	if _, err := strconv.Atoi(parts[2]); err != nil {
		return "", "", false
	}
	return strings.TrimSuffix(name, "."+parts[3]), parts[3], true
}

// mark is the name of what a run's fault puts into a server in a round:
// gameday-<run>.<fault>.<round>. The parts hold no dot, so that it can be read back.
func mark(d experiments.Draw) string {
	return fmt.Sprintf("%s%s.%s.%d", prefix, sanitised(d.Run), sanitised(d.Fault), d.Round)
}

// sanitised keeps what needs no escaping in a path and writes the rest as ~e9~, so that
// two names never become one: the revert of one fault would take off the other's toxic.
func sanitised(name string) string {
	var text strings.Builder
	for _, r := range name {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			text.WriteRune(r)
		} else {
			fmt.Fprintf(&text, "~%x~", r) // to a builder, which cannot fail
		}
	}
	return text.String()
}

// unoccupied checks that nothing of another run, or of the same fault and round, is
// on the proxy.
func unoccupied(all map[string]client.Proxy, name string, d experiments.Draw) error {
	for _, toxic := range all[name].ActiveToxics {
		if err := foreign(toxic.Name, "a toxic", name, d); err != nil {
			return err
		}
	}
	for other := range all {
		if mark, proxy, found := splitAside(other); found && proxy == name {
			if err := foreign(mark, "a mark", name, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func foreign(toxic, what, proxy string, d experiments.Draw) error {
	rest, ours := strings.CutPrefix(toxic, prefix)
	if !ours {
		return nil
	}
	run, _, _ := strings.Cut(rest, ".")
	if run != sanitised(d.Run) || toxic == mark(d) {
		return fmt.Errorf("proxy %s already carries %s of run %s: wait for it, or mend it with: gameday recover %s", proxy, what, run, run)
	}
	return nil
}
