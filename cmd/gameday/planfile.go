package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/scenarios"
)

// planSchema names the shape of a plan file.
const planSchema = "gameday/plan/v1"

// maxPlan is the most bytes that a plan file may have.
const maxPlan = 32 << 20

// planFile is what `plan --out` writes and `run plan.json` carries out. It holds no
// scenario and no command to run: what is done comes from the scenario itself, planned
// anew, and the file only says what that must come to. So a file that was written by
// somebody else can make a run refuse, and never do anything more.
type planFile struct {
	Schema  string    `json:"schema"`
	Version string    `json:"version"` // of gameday
	Made    time.Time `json:"made"`
	// Path is the scenario's file or folder, absolute or, for a shipped example, its
	// name; Near is the same from the folder of the plan file.
	Path string `json:"path"`
	Near string `json:"near,omitempty"`
	// Vars are the variables that were given, Secrets the names of those whose values are
	// not stored, and VarFiles the files of variables.
	Vars      []string          `json:"vars,omitempty"`
	Secrets   []string          `json:"secrets,omitempty"`
	VarFiles  []planVarFile     `json:"var_files,omitempty"`
	Scenarios []plannedScenario `json:"scenarios"`
	// Sum is over all the rest: a file that was cut or edited is told from one that is
	// whole.
	Sum string `json:"sum,omitempty"`
}

type planVarFile struct {
	Path   string `json:"path"`
	Near   string `json:"near,omitempty"`
	Digest string `json:"digest"`
}

type plannedScenario struct {
	Name   string        `json:"name"`
	Origin string        `json:"origin"`
	Digest string        `json:"digest"` // of the scenario's text
	Seed   uint64        `json:"seed"`
	Length time.Duration `json:"length_ns"`
	// Hits are those of the first round of each fault; later rounds look again.
	Hits []experiments.Hit `json:"hits"`
}

// plannedHits puts a scenario into a plan file.
func plannedHits(e *experiments.Experiment, b *experiments.Blueprint) plannedScenario {
	p := plannedScenario{Name: e.Name, Origin: e.Origin, Digest: e.Source.Digest, Seed: e.Seed, Length: b.Length}
	for _, hits := range b.Hits {
		p.Hits = append(p.Hits, hits...)
	}
	return p
}

// newPlanFile describes how the configuration at path was made.
func newPlanFile(out, path string, v *variables, c *scenarios.Configuration) (*planFile, error) {
	p := &planFile{Schema: planSchema, Version: version(), Made: time.Now().UTC().Truncate(time.Second)}
	var err error
	if p.Path, p.Near, err = placed(out, path); err != nil {
		return nil, err
	}
	settings, sensitive := c.Given()
	clean := redact.Func(c.Secrets())
	for _, setting := range settings {
		if clean(setting) != setting { // not declared sensitive, but used as a secret
			name, _, _ := strings.Cut(setting, "=")
			sensitive = append(sensitive, name)
			continue
		}
		p.Vars = append(p.Vars, setting)
	}
	p.Secrets = sensitive
	for _, file := range v.files {
		entry := planVarFile{}
		if entry.Path, entry.Near, err = placed(out, file); err != nil {
			return nil, err
		}
		if entry.Digest, err = digestOf(file); err != nil {
			return nil, err
		}
		p.VarFiles = append(p.VarFiles, entry)
	}
	return p, nil
}

// placed gives a path absolutely, and from the folder of the plan file.
func placed(out, path string) (absolute, near string, err error) {
	if _, err := os.Stat(path); err != nil {
		return path, "", nil // the name of a shipped example
	}
	if absolute, err = filepath.Abs(path); err != nil {
		return "", "", err
	}
	folder, err := filepath.Abs(filepath.Dir(out))
	if err != nil {
		return "", "", err
	}
	if near, err = filepath.Rel(folder, absolute); err != nil {
		near = ""
	}
	return absolute, near, nil
}

func digestOf(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text)), nil
}

// text is the file's content, with its sum.
func (p *planFile) text(clean func(string) string) ([]byte, error) {
	p.Sum = ""
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the plan: %w", err)
	}
	// Secrets are taken out of the text before it is summed.
	cleaned := []byte(clean(string(body)))
	if err := json.Unmarshal(cleaned, p); err != nil {
		return nil, fmt.Errorf("write the plan: taking secrets out of it spoils it: %w", err)
	}
	if p.Sum, err = p.sum(); err != nil {
		return nil, err
	}
	body, err = json.MarshalIndent(p, "", "  ")
	return append(body, '\n'), err
}

// sum is over everything but itself.
func (p planFile) sum() (string, error) {
	p.Sum = ""
	body, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("sum the plan up: %w", err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(body)), nil
}

// readPlanFile reads a plan file that is whole and of this program's version.
func readPlanFile(path string) (p *planFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(io.LimitReader(file, maxPlan+1))
	if err != nil {
		return nil, fmt.Errorf("read the plan %s: %w", path, err)
	}
	p = new(planFile)
	again := "make a new one with: gameday plan --out " + path
	if len(text) > maxPlan {
		return nil, fmt.Errorf("%s is larger than any plan; %s", path, again)
	}
	var kind struct {
		Schema string `json:"schema"`
	}
	switch err := json.Unmarshal(text, &kind); {
	case err != nil:
		return nil, fmt.Errorf("%s is no whole plan file (%w); %s", path, err, again)
	case !strings.HasPrefix(kind.Schema, "gameday/plan/"):
		return nil, fmt.Errorf("%s is no plan file: its schema is %.40q, not %q; %s", path, kind.Schema, planSchema, again)
	case kind.Schema != planSchema:
		return nil, fmt.Errorf("%s is a plan of the schema %.40q, and this gameday reads %q; %s", path, kind.Schema, planSchema, again)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("%s is not as gameday wrote it (%w); %s", path, err, again)
	}
	switch sum, err := p.sum(); {
	case err != nil:
		return nil, err
	case sum != p.Sum:
		return nil, fmt.Errorf("%s was changed after gameday wrote it: its sum does not fit; %s", path, again)
	case p.Version != version():
		return nil, fmt.Errorf("%s was made by gameday %s, and this is %s: the same plan may come to something else; %s", path, p.Version, version(), again)
	case len(p.Scenarios) == 0 || p.Path == "":
		return nil, fmt.Errorf("%s plans no scenario; %s", path, again)
	}
	return p, nil
}

// find gives the path at which what was planned is now: from the plan file, or where it
// was then.
func find(plan, near, absolute string) string {
	if near != "" {
		path := filepath.Join(filepath.Dir(plan), near)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return absolute
}

// prepare points flags to the scenario of a plan, and gives its path. Variables that
// were given for the plan are given again.
func (p *planFile) prepare(plan string, flags *runFlags) (path string, err error) {
	path = find(plan, p.Near, p.Path)
	flags.vars = append(append([]string(nil), p.Vars...), flags.vars...)
	var drifted []error
	for _, file := range p.VarFiles {
		where := find(plan, file.Near, file.Path)
		digest, err := digestOf(where)
		if err == nil && digest != file.Digest {
			err = fmt.Errorf("%s has the digest %s, and had %s", where, digest, file.Digest)
		}
		drifted = append(drifted, err)
		flags.files = append(flags.files, where)
	}
	for _, s := range p.Scenarios {
		flags.only = append(flags.only, s.Name)
	}
	return path, errors.Join(drifted...)
}

// drift says in which scenarios the text is another than that of the plan.
func (p *planFile) drift(c *scenarios.Configuration) error {
	var drifted []error
	for _, s := range p.Scenarios {
		if now := c.Source().Digest; now != s.Digest {
			drifted = append(drifted, fmt.Errorf("scenario %q: its text has the digest %s, and had %s", s.Name, now, s.Digest))
		}
	}
	return errors.Join(drifted...)
}

// of gives what is planned of a scenario.
func (p *planFile) of(name string) (plannedScenario, bool) {
	for _, s := range p.Scenarios {
		if s.Name == name {
			return s, true
		}
	}
	return plannedScenario{}, false
}
