package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A place is where people write in a report. In Markdown it stands between two comments
// on lines of their own, which nobody sees where the text is rendered:
//
//	<!-- place: root-cause -->
//	The pool held its connections for as long as a query may take.
//	<!-- end -->
//
// Only such lines are marks. No text that was measured can be one: a format escapes what
// a comment begins with, and puts something before it.

// The keys of the places.
const (
	PlaceSeverity  = "severity"
	PlaceUsers     = "users-affected"
	PlaceBusiness  = "business-impact"
	PlaceDetection = "detection"
	PlaceResponse  = "response"
	PlaceWell      = "what-went-well"
	PlaceWrong     = "what-went-wrong"
	PlaceSurprises = "surprises-and-luck"
	PlaceCause     = "root-cause"
	PlaceActions   = "action-items"
	PlaceLessons   = "lessons"
	PlacePrevent   = "prevention"
)

// asked says what belongs into each place, in the order of the report.
var asked = []struct{ key, what string }{
	{PlaceSeverity, "how an incident like this one would be rated: SEV1 to SEV4, or none"},
	{PlaceUsers, "how many, and what they saw"},
	{PlaceBusiness, "what it cost beyond the error budget, if anything"},
	{PlaceDetection, "who or what noticed it first, and when"},
	{PlaceResponse, "what people did, in which order, and what helped or was missing"},
	{PlaceWell, "what people and tools did that helped"},
	{PlaceWrong, "what was missing, slow or confusing"},
	{PlaceSurprises, "what nobody expected, and where it only went well by luck"},
	{PlaceCause, "which conditions together made the system behave as it did"},
	{PlaceActions, "one row for each; what is proposed becomes an action item once it has an owner"},
	{PlaceLessons, "what the next team should know"},
	{PlacePrevent, "what will keep it from happening again"},
}

// PlaceKeys lists the keys of all places, in the order of a report.
func PlaceKeys() []string {
	keys := make([]string, len(asked))
	for i, a := range asked {
		keys[i] = a.key
	}
	return keys
}

// PlaceAsks says what belongs into a place.
func PlaceAsks(key string) string {
	for _, a := range asked {
		if a.key == key {
			return a.what
		}
	}
	return ""
}

// Document is a Markdown report read back: what people wrote in it.
type Document struct {
	places []written
	// Problems are marks that are not as they were written; what stands there may be
	// lost when the report is rendered again.
	Problems []DocumentProblem
	// Edited tells that somebody changed what is not in a place.
	Edited bool
	run    string // the digest of the name of its run, empty where it does not say
}

// DocumentProblem is a mark that is not as it was written.
type DocumentProblem struct {
	Line int
	Text string
}

// written is a place with what stands in it.
type written struct {
	key, text string
	line      int  // of the first line of the text
	proposal  bool // the text is what gameday proposed, unchanged
}

var (
	opening = regexp.MustCompile(`^ {0,3}<!--[ \t]*place:[ \t]*([A-Za-z0-9_-]{1,64})[ \t]*-->[ \t]*$`)
	closing = regexp.MustCompile(`^ {0,3}<!--[ \t]*end[ \t]*-->[ \t]*$`)
	// seal is the last line of a report: the digest of all that is not in a place, that of
	// the name of the run, and that of each proposal in a place.
	seal = regexp.MustCompile(`^<!-- gameday:seal ([0-9a-f]{16})((?: [a-z-]+=[0-9a-f]{16})*) -->\s*$`)
)

const endMark = "<!-- end -->\n"

func placeMark(key string) string { return "<!-- place: " + key + " -->\n" }

// Read takes a Markdown report apart. It never fails: a text without marks is one in
// which nobody wrote into a place.
func Read(markdown []byte) *Document {
	s := scan(markdown)
	d := &Document{Problems: s.problems, Edited: s.seal != digest(s.rest), run: s.proposals[sealedRun]}
	seen := map[string]bool{}
	for _, w := range s.places {
		if !seen[w.key] {
			w.proposal = s.proposals[w.key] != "" && s.proposals[w.key] == digest(w.text)
			d.places = append(d.places, w)
		}
		seen[w.key] = true
	}
	return d
}

// scanned is a report in its parts.
type scanned struct {
	places    []written
	rest      string // what is in no place, with the marks
	unsealed  string // everything but the seal
	seal      string // the digest of the rest that the report carries
	proposals map[string]string
	problems  []DocumentProblem
}

func scan(markdown []byte) *scanned {
	s := &scanned{proposals: map[string]string{}}
	var rest, unsealed, text strings.Builder
	key, number, first := "", 0, 0
	trouble := func(format string, values ...any) {
		s.problems = append(s.problems, DocumentProblem{number, fmt.Sprintf(format, values...)})
	}
	leave := func() {
		s.places = append(s.places, written{key: key, text: text.String(), line: first})
		text.Reset()
		key = ""
	}
	for line := range strings.Lines(string(markdown)) {
		number++
		bare := strings.TrimRight(line, "\r\n")
		// Another place ends one that lost its end; other keys are a text about marks.
		if mark := opening.FindStringSubmatch(bare); mark != nil && PlaceAsks(mark[1]) != "" {
			if key != "" {
				trouble("the place %s, which begins on line %d, has no <!-- end -->", key, first-1)
				leave()
			}
			if slices.ContainsFunc(s.places, func(w written) bool { return w.key == mark[1] }) {
				trouble("the place %s stands here a second time", mark[1])
			}
			key, first = mark[1], number+1
			rest.WriteString(line)
			unsealed.WriteString(line)
			continue
		} else if mark != nil && key == "" {
			trouble("there is no place %q; the places are %s", mark[1], strings.Join(PlaceKeys(), ", "))
		}
		switch match := seal.FindStringSubmatch(bare); {
		case closing.MatchString(bare) && key != "":
			leave()
		case key != "":
			text.WriteString(line)
			unsealed.WriteString(line)
			continue
		case closing.MatchString(bare):
			trouble("this <!-- end --> ends no place")
		case match != nil:
			s.seal = match[1]
			for _, pair := range strings.Fields(match[2]) {
				name, digest, _ := strings.Cut(pair, "=")
				s.proposals[name] = digest
			}
			continue
		}
		rest.WriteString(line)
		unsealed.WriteString(line)
	}
	if key != "" {
		trouble("the place %s, which begins on line %d, has no <!-- end -->", key, first-1)
		leave()
	}
	s.rest, s.unsealed = rest.String(), unsealed.String()
	return s
}

// Text is what people wrote into a place, byte for byte; nothing where only gameday did.
func (d *Document) Text(key string) string {
	text, _ := d.at(key)
	return text
}

// at is what people wrote into a place, and the line where it begins.
func (d *Document) at(key string) (string, int) {
	if d == nil {
		return "", 0
	}
	for _, w := range d.places {
		if w.key == key && !w.proposal {
			return withoutHint(w.text), w.line
		}
	}
	return "", 0
}

// Lossy tells whether rendering again would lose something that people wrote.
func (d *Document) Lossy() bool { return d.Edited || len(d.Problems) > 0 }

// Merge gives what theirs holds with what mine changed since base. Places that both
// changed, to different texts, are conflicts; there theirs stays.
func Merge(base, mine, theirs *Document) (merged *Document, conflicts []string) {
	merged = &Document{}
	for _, key := range PlaceKeys() {
		was, is, other := base.Text(key), mine.Text(key), theirs.Text(key)
		text := other
		switch {
		case is == was || is == other:
		case other == was:
			text = is
		default:
			conflicts = append(conflicts, key)
		}
		if text != "" {
			merged.places = append(merged.places, written{key: key, text: text})
		}
	}
	return merged, conflicts
}

// Overlay gives what is written in over and, where nothing is, what is in under.
func Overlay(under, over *Document) *Document {
	all := &Document{}
	for _, key := range PlaceKeys() {
		text := over.Text(key)
		if text == "" {
			text = under.Text(key)
		}
		if text != "" {
			all.places = append(all.places, written{key: key, text: text})
		}
	}
	return all
}

// Empty tells whether nobody has written into a place.
func (d *Document) Empty() bool {
	return !slices.ContainsFunc(PlaceKeys(), func(key string) bool { return d.Text(key) != "" })
}

// withoutHint is a text without the line that asks for it, and nothing where there is
// only white space besides.
func withoutHint(text string) string {
	if !strings.Contains(text, hintBegin) && strings.TrimSpace(text) != "" {
		return text
	}
	var b strings.Builder
	asked := false // the empty line behind a hint is part of it
	for line := range strings.Lines(text) {
		asked = strings.HasPrefix(line, hintBegin) || asked && strings.TrimSpace(line) == ""
		if !asked {
			b.WriteString(line)
		}
	}
	if strings.TrimSpace(b.String()) == "" {
		return ""
	}
	return b.String()
}

const hintBegin = "**" + unfilled + "**"

// hint is the line that asks people for what belongs into a place.
func hint(what string) string { return hintBegin + " _" + what + "._\n" }

// digest is that of a text, whatever an editor did to the ends of its lines.
func digest(text string) string {
	sum := sha256.New()
	blank := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			blank++
			continue
		}
		fmt.Fprintf(sum, "%s%s\n", strings.Repeat("\n", min(blank, 1)), line)
		blank = 0
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// sealedRun stands in a seal before the digest of the name of the run.
const sealedRun = "run"

// Of tells whether a document can be the report of a run: it says so, or does not say of
// which run it is.
func (d *Document) Of(run string) bool { return d == nil || d.run == "" || d.run == digest(run) }

// sealed ends a Markdown report with the digests by which later changes are noticed:
// that of what is in no place, and those of the places that hold a proposal.
func sealed(markdown, run string, proposals []string) string {
	s := scan([]byte(markdown))
	line := "<!-- gameday:seal " + digest(s.rest) + " " + sealedRun + "=" + run
	for _, key := range proposals {
		for _, w := range s.places {
			if w.key == key {
				line += " " + key + "=" + digest(w.text)
			}
		}
	}
	return markdown + line + " -->\n"
}

// Reseal renews the seal of a report in which something was replaced on purpose, such as
// a secret.
func Reseal(markdown []byte) []byte {
	s := scan(markdown)
	if s.seal == "" || s.proposals[sealedRun] == "" {
		return markdown
	}
	return []byte(sealed(s.unsealed, s.proposals[sealedRun], slices.Sorted(maps.Keys(s.proposals))))
}
