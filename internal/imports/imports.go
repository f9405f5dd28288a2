// Package imports reads SLOs in the formats of other tools into a configuration of
// blocks: OpenSLO, Sloth, and plain YAML as it is found in runbooks and handbooks.
//
// Nothing is lost in silence. A document is read into a tree of nodes (tree.go) that
// know whether somebody has read them; what nobody has read in the end is named, with
// file, line and path. A format (the table below, a file each) is a table of handlers
// by key: it reads nodes into SLOs and policies as this package holds them (plan.go),
// and says where it changed something on the way. assemble.go gives them their names,
// ties references together and makes blocks of them. promql.go rewrites queries.
package imports

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gameday-sh/gameday/internal/blocks"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Input is a file to read.
type Input struct {
	Name string
	Text []byte
}

// Kind says what became of a part of the input.
type Kind int

// The kinds of notes.
const (
	// Lost is not carried over.
	Lost Kind = iota
	// Changed is carried over, and means something else or came about by a reading of
	// the input that a person should check.
	Changed
	// Wrong cannot be read. Where there is one, there is nothing to write.
	Wrong
)

func (k Kind) String() string { return [...]string{"not carried over", "changed", "error"}[k] }

// Note tells of a part of the input that is not in the configuration as it was.
type Note struct {
	File string
	Line int // from 1; 0 where it is about the whole file
	Path string
	Kind Kind
	Text string
}

// String gives the note on a line: "slo.yaml:12: spec.op: not carried over: why".
func (n Note) String() string {
	at := n.File
	if n.Line > 0 {
		at = fmt.Sprintf("%s:%d", n.File, n.Line)
	}
	if n.Path != "" {
		at += ": " + textsafe.Line(n.Path, longestPath)
	}
	return textsafe.Line(fmt.Sprintf("%s: %s: %s", at, n.Kind, n.Text), 0)
}

// longestPath is how many characters of a path are shown.
const longestPath = 200

// Result is what was read.
type Result struct {
	// File is the configuration. It is empty if a note is [Wrong].
	File  blocks.File
	Notes []Note
	// SLOs and Policies count what is in the file; Kept what stands in it as a comment
	// only.
	SLOs, Policies, Kept int
}

// Count is how many notes are of a kind.
func (r *Result) Count(kind Kind) int {
	count := 0
	for _, note := range r.Notes {
		if note.Kind == kind {
			count++
		}
	}
	return count
}

// Check tells why a configuration is not valid, or nil.
type Check func(blocks.File) error

// format is one that can be read.
type format struct {
	// name as a person knows it.
	name string
	// matches tells whether a document is of this format.
	matches func(doc *node) bool
	read    func(r *reader, doc *node)
}

// formats is all that can be read; the first that matches a document reads it.
func formats() []format {
	return []format{
		{"OpenSLO", isOpenSLO, openSLOKinds.read},
		{"Sloth", isSloth, slothSpec.read},
		{"Kubernetes list", isList, readList},
		{"plain YAML", isPlain, plainKeys.read},
	}
}

// expected says what files may hold.
const expected = "expected OpenSLO (apiVersion: openslo/v1), Sloth (version: prometheus/v1, or kind: PrometheusServiceLevel), or a file with slo, slos, slis, user_journeys, error_budget_policy or golden_signals at its first level"

// Read reads files into one configuration. What an SLO refers to may be in any of
// them. An SLO that check refuses is kept as a comment.
func Read(inputs []Input, check Check) *Result { return read(inputs, formats(), check) }

func read(inputs []Input, formats []format, check Check) *Result {
	r := &reader{formats: formats, indicators: map[string]*node{}}
	for _, input := range inputs {
		r.source(input)
	}
	for _, finish := range r.later {
		finish()
	}
	r.orphans()
	r.unusedIndicators()
	for _, p := range r.policies {
		r.govern(p)
	}
	result := &Result{}
	if !slices.ContainsFunc(r.notes, func(n Note) bool { return n.Kind == Wrong }) {
		r.assemble(result, check)
	}
	for _, doc := range r.docs {
		doc.leftovers()
	}
	result.Notes = r.notes
	if result.Count(Wrong) > 0 {
		result.File, result.SLOs, result.Policies, result.Kept = blocks.File{}, 0, 0, 0
		result.Notes = slices.DeleteFunc(result.Notes, func(n Note) bool { return n.Kind != Wrong })
	}
	order := map[string]int{}
	for i, input := range inputs {
		order[input.Name] = i
	}
	slices.SortStableFunc(result.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	seen := map[Note]bool{}
	result.Notes = slices.DeleteFunc(result.Notes, func(n Note) bool {
		twice := seen[n]
		seen[n] = true
		return twice
	})
	return result
}

// reader gathers what the files hold.
type reader struct {
	formats []format
	notes   []Note
	docs    []*node

	head     []string // comments for the head of the file
	slos     []*slo
	policies []*policy
	sources  []*source
	kept     []blocks.Block // that are written as comments
	// indicators are the SLIs that SLOs may refer to, by name.
	indicators map[string]*node
	slis       []plainSLI
	// later is what needs to know all documents.
	later []func()
}

// document reads one document by the format that matches it.
func (r *reader) document(doc *node) {
	if len(doc.items) > 0 { // a list of documents
		for _, item := range doc.items {
			r.document(item)
		}
		return
	}
	for _, format := range r.formats {
		if format.matches(doc) {
			format.read(r, doc)
			return
		}
	}
	what := ""
	if kind, version := doc.get("kind").peek(), doc.get("apiVersion").peek(); kind != "" || version != "" {
		what = fmt.Sprintf("kind %q of apiVersion %q; ", kind, version)
	} else if version := doc.get("version").peek(); version != "" {
		what = fmt.Sprintf("version %q; ", version)
	}
	doc.wrong("this is none of the documents that can be imported: %s%s", what, expected)
}

// handlers reads a mapping: a function for each key that is known. Other keys stay
// unread, and are named.
type handlers[T any] []handler[T]

type handler[T any] struct {
	key  string
	read func(r *reader, n *node, into T)
}

func (h handlers[T]) into(r *reader, n *node, into T) {
	for _, one := range h {
		if value := n.get(one.key); value != nil {
			one.read(r, value, into)
		}
	}
}

// isList recognizes what `kubectl get -o yaml` writes.
func isList(doc *node) bool {
	return doc.get("kind").peek() == "List" && doc.get("items") != nil
}

func readList(r *reader, doc *node) {
	doc.get("apiVersion").ignore()
	doc.get("kind").ignore()
	for _, item := range doc.get("items").list() {
		r.document(item)
	}
}
