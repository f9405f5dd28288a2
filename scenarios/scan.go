package scenarios

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// The parser and the evaluator recurse, and 100,000 parentheses overflow the
// stack, which no recover can catch. These limits are far above what a person
// writes and far below what overflows.
const (
	maxDepth = 100 // how deep brackets may nest
	maxChain = 500 // how many operators one expression may chain
	// The time that the parser takes for a heredoc is that of its size times its lines.
	maxLines = 5000
)

// tooDeep returns the offset at which text nests deeper than maxDepth, chains more
// than maxChain operators, or has a heredoc of more than maxLines, or -1.
func tooDeep(text []byte) int {
	at, _ := tooMuch(text)
	return at
}

// tooMuch is tooDeep, and tells whether a heredoc is too long. It reads the text
// once, knows strings with their ${ } and %{ } templates, heredocs and comments, and
// leaves what is malformed to the parser.
func tooMuch(text []byte) (at int, long bool) {
	s := scanner{text: text, frames: []frame{{in: inBody}}}
	for s.at < len(s.text) {
		if len(s.frames) > maxDepth+1 || s.top().chain > maxChain {
			return s.at - 1, false
		}
		if s.top().lines > maxLines {
			return s.at - 1, true
		}
		switch s.top().in {
		case inString:
			s.quoted()
		case inHeredoc:
			s.heredoc()
		default:
			s.code()
		}
	}
	return -1, false
}

// inside is what the scanner is inside of.
type inside byte

const (
	inBody    inside = iota // the file, { } and templates: a newline ends an expression
	inBracket               // ( ) and [ ]: it does not
	inString
	inHeredoc
)

type frame struct {
	in    inside
	chain int // operators of the expression that is being read
	lines int // of a heredoc
}

type scanner struct {
	text    []byte
	at      int
	frames  []frame
	markers [][]byte // the end markers of the open heredocs
}

func (s *scanner) top() *frame { return &s.frames[len(s.frames)-1] }

func (s *scanner) push(in inside) { s.frames = append(s.frames, frame{in: in}) }

func (s *scanner) pop() {
	if len(s.frames) > 1 {
		s.frames = s.frames[:len(s.frames)-1]
	}
}

func (s *scanner) has(prefix string) bool {
	return bytes.HasPrefix(s.text[s.at:], []byte(prefix))
}

// skipLine moves behind the next newline.
func (s *scanner) skipLine() {
	if i := bytes.IndexByte(s.text[s.at:], '\n'); i >= 0 {
		s.at += i + 1
		return
	}
	s.at = len(s.text)
}

func (s *scanner) code() {
	c := s.text[s.at]
	switch {
	case c == '#' || s.has("//"):
		s.skipLine()
		s.endLine()
		return
	case s.has("/*"):
		if i := bytes.Index(s.text[s.at+2:], []byte("*/")); i >= 0 {
			s.at += i + 4
		} else {
			s.at = len(s.text)
		}
		return
	case s.has("<<") && s.openHeredoc():
		return
	case c == '"':
		s.push(inString)
	case c == '(' || c == '[':
		s.top().chain++
		s.push(inBracket)
	case c == '{':
		s.push(inBody)
	case c == ')' || c == ']' || c == '}':
		s.pop()
	case c == '\n':
		s.endLine()
	case c == ',':
		s.top().chain = 0
	case bytes.IndexByte([]byte("!-+*/%<>=&|?"), c) >= 0:
		s.top().chain++
	}
	s.at++
}

// endLine ends the expression, unless brackets keep it open.
func (s *scanner) endLine() {
	if s.top().in == inBody {
		s.top().chain = 0
	}
}

// openHeredoc reads "<<EOT" or "<<-EOT" and the rest of its line.
func (s *scanner) openHeredoc() bool {
	rest := s.text[s.at+2:]
	rest = bytes.TrimPrefix(rest, []byte("-"))
	length := 0
	for length < len(rest) {
		r, size := utf8.DecodeRune(rest[length:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' {
			break
		}
		length += size
	}
	after := bytes.TrimPrefix(rest[length:], []byte("\r"))
	if length == 0 || !bytes.HasPrefix(after, []byte("\n")) {
		return false
	}
	s.markers = append(s.markers, rest[:length])
	s.push(inHeredoc)
	s.skipLine()
	s.closeHeredoc()
	return true
}

// closeHeredoc ends the heredoc if the line that begins here is its marker.
func (s *scanner) closeHeredoc() {
	line, _, _ := bytes.Cut(s.text[s.at:], []byte("\n"))
	if bytes.Equal(bytes.TrimSpace(line), s.markers[len(s.markers)-1]) {
		s.at += len(line)
		s.markers = s.markers[:len(s.markers)-1]
		s.pop()
	}
}

func (s *scanner) heredoc() {
	switch {
	case s.template():
	case s.text[s.at] == '\n':
		s.at++
		s.top().lines++
		s.closeHeredoc()
	default:
		s.at++
	}
}

func (s *scanner) quoted() {
	switch {
	case s.template():
	case s.text[s.at] == '\\':
		s.at += 2
	case s.text[s.at] == '"':
		s.at++
		s.pop()
	case s.text[s.at] == '\n':
		// A string ends with its line; the parser reports it.
		s.pop()
	default:
		s.at++
	}
}

// template reads what begins a template, or escapes one.
func (s *scanner) template() bool {
	switch {
	case s.has("$${") || s.has("%%{"):
		s.at += 3
	case s.has("%{"):
		s.top().chain++ // %{ if } nests without brackets
		s.at += 2
		s.push(inBody)
	case s.has("${"):
		s.at += 2
		s.push(inBody)
	default:
		return false
	}
	return true
}
