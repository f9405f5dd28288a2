package scenarios

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Summaries of mistakes after which the rest of a file cannot be read for certain.
const (
	openString  = "String without an end"
	openHeredoc = "Heredoc without an end"
	openComment = "Comment without an end"
	openBlock   = "Block without an end"
	openText    = "Template without an end"
	strayBrace  = "Brace that closes nothing"
)

// parse reads the syntax of a file. What is wrong is told in the words of the
// language, once for each mistake. The body holds what could be read; it is nil if
// nothing could.
func parse(name string, text []byte) (*hclsyntax.Body, hcl.Diagnostics) {
	parsed, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	var body *hclsyntax.Body
	if parsed != nil {
		body, _ = parsed.Body.(*hclsyntax.Body)
	}
	return body, first(reword(text, diags))
}

// first keeps one diagnostic of each mistake: the parser goes on after one, and
// stumbles again over what it left.
func first(diags hcl.Diagnostics) hcl.Diagnostics {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Compare(start(a), start(b))
	})
	if len(diags) > 1 {
		// A block that seems to have no end may be the doing of another mistake.
		others := slices.DeleteFunc(slices.Clone(diags), func(d *hcl.Diagnostic) bool { return d.Summary == openBlock })
		if len(others) > 0 {
			diags = others
		}
	}
	var kept hcl.Diagnostics
	for _, d := range diags {
		if len(kept) > 0 && d.Subject != nil && d.Subject.Start.Line == kept[len(kept)-1].Subject.Start.Line {
			if d.Summary == "Invalid character" { // what the parser stumbles over earlier on the line
				kept[len(kept)-1] = d
			}
			continue
		}
		kept = append(kept, d)
		if d.Subject == nil || slices.Contains([]string{openString, openHeredoc, openComment, openBlock, openText, strayBrace}, d.Summary) {
			break
		}
	}
	return kept
}

func start(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return 0
	}
	return d.Subject.Start.Byte
}

// doubtful gives the offset from which on a body with syntax errors may lack
// something: the start of the block of the first level in which the first of them is.
func doubtful(text []byte, body *hclsyntax.Body, diags hcl.Diagnostics) int {
	at := start(diags[0])
	if body == nil {
		return 0
	}
	for _, block := range slices.Backward(body.Blocks) {
		from, end := block.TypeRange.Start.Byte, block.CloseBraceRange.Start.Byte
		if from > at {
			continue
		}
		// Where the parser found no end, it puts another place there.
		if ended := end > block.OpenBraceRange.Start.Byte && end < len(text) && text[end] == '}'; ended && end < at {
			break
		}
		return from
	}
	return at
}

// reword says what the parser says in the words of this language: it speaks of
// arguments, and does not know what people of other formats write by mistake.
func reword(text []byte, diags hcl.Diagnostics) hcl.Diagnostics {
	var list hcl.Diagnostics
	for _, diagnostic := range diags {
		one := *diagnostic
		if one.Subject != nil && one.Subject.Start.Byte <= len(text) {
			at := *one.Subject
			one.Subject = &at
			if !unquoted(text, &one) {
				rewordOne(text, &one)
			}
		}
		list = append(list, &one)
	}
	return list
}

var (
	name       = regexp.MustCompile(`^[\pL_][\pL\pN_-]*`)
	assignment = regexp.MustCompile(`^\s*([\pL_][\pL\pN_-]*)\s*=\s*([^"\s#][^"#\r\n]*)`)
	// needsQuotes is what looks like a text and is none: 30s, 99.5%, http://host,
	// host:80, 127.0.0.1, /path.
	needsQuotes = regexp.MustCompile(`^(-?[0-9.]+[\pL%][\pL\pN.%]*|[a-z]+://\S*|/\S*|[\w.-]+:[0-9]+\S*|[0-9]+(\.[0-9]+){2,}\S*)$`)
)

// unquoted recognizes an attribute whose value is a text without quotes.
func unquoted(text []byte, d *hcl.Diagnostic) bool {
	line, offset := lineAt(text, d.Subject.Start.Byte)
	found := assignment.FindSubmatchIndex(line)
	if found == nil || offset+found[2] > d.Subject.Start.Byte {
		return false
	}
	name, value := string(line[found[2]:found[3]]), strings.TrimSpace(string(line[found[4]:found[5]]))
	if !needsQuotes.MatchString(value) {
		return false
	}
	from := position(d.Subject.Filename, text, offset+found[4])
	to := position(d.Subject.Filename, text, offset+found[4]+len(value)-1)
	*d.Subject = hcl.RangeBetween(from, to)
	d.Summary = "Text without quotes"
	d.Detail = fmt.Sprintf("Write %s = %q.", name, value)
	return true
}

// lineAt gives the line that an offset is on, and where it begins.
func lineAt(text []byte, offset int) ([]byte, int) {
	from := bytes.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := bytes.Cut(text[from:], []byte("\n"))
	return line, from
}

// lacksBrace guesses by the indentation which block was not closed, and gives the
// offset of its first word, or -1.
func lacksBrace(text []byte) int {
	type opened struct{ indent, at int }
	var open []opened
	at := 0
	for line := range bytes.Lines(text) {
		words := bytes.TrimSpace(line)
		indent := len(line) - len(bytes.TrimLeft(line, " \t"))
		if len(words) > 0 && words[0] != '#' {
			closes := words[0] == '}'
			if n := len(open); n > 0 && (closes && indent < open[n-1].indent || !closes && indent <= open[n-1].indent) {
				return open[n-1].at
			}
			if n := len(open); closes && n > 0 {
				open = open[:n-1]
			}
			if words[len(words)-1] == '{' && name.Match(words) {
				open = append(open, opened{indent, at + indent})
			}
		}
		at += len(line)
	}
	if n := len(open); n > 0 {
		return open[n-1].at
	}
	return -1
}

// columns is a place's columns, as the parser appends it to a place: ":3,5-8".
var columns = regexp.MustCompile(`(:[0-9]+),[0-9]+-[0-9]+(,[0-9]+)?`)

func rewordOne(text []byte, d *hcl.Diagnostic) {
	rest := text[d.Subject.Start.Byte:]
	say := func(summary, format string, args ...any) {
		d.Summary, d.Detail = summary, fmt.Sprintf(format, args...)
	}
	switch d.Summary {
	case "Argument or block definition required", "Argument definition required":
		neither(text, rest, d)
	case "Invalid argument name":
		say("Name in quotes", "The name of an attribute has no quotes: write name = value.")
	case "Unclosed configuration block", "Unclosed configuration body":
		if at := lacksBrace(text); at >= 0 {
			*d.Subject = hcl.RangeBetween(position(d.Subject.Filename, text, at), position(d.Subject.Filename, text, at+len(name.Find(text[at:]))-1))
		}
		say(openBlock, "A } is missing before the end of the file, and by the indentation it is the one of this block.")
	case "Attribute redefined":
		d.Summary = "Duplicate attribute"
		d.Detail = strings.TrimSuffix(columns.ReplaceAllString(strings.Replace(d.Detail, "The argument", "The attribute", 1), "$1"), " Each argument may be set only once.") + " Take one of the two out."
	case "Invalid multi-line string", "Unterminated string literal":
		say(openString, "There is no closing quote on this line. A text of several lines is written as <<EOT, its lines, and EOT on a line of its own.")
	case "Unterminated template string":
		if opened := bytes.LastIndex(text, []byte("<<")); opened >= 0 && len(bytes.TrimSpace(rest)) == 0 {
			marker, _ := lineAt(text[opened:], 0)
			*d.Subject = position(d.Subject.Filename, text, opened)
			say(openHeredoc, "There is no line that holds only the marker of %s. Add it behind the text.", strings.TrimSpace(string(marker)))
			return
		}
		say(openString, "There is no closing quote on this line. A text of several lines is written as <<EOT, its lines, and EOT on a line of its own.")
	case "Unclosed template interpolation sequence":
		say(openText, "There is no } for this ${. Add it; or write $${ for the two characters themselves.")
	case "Invalid block definition":
		line, _ := lineAt(text, d.Subject.Start.Byte)
		if words := strings.Fields(string(line)); len(words) == 2 && strings.HasPrefix(words[1], `"`) {
			say("Equals sign expected", "Write %s = %s; or, for a block, open its { on this line.", words[0], words[1])
			return
		}
		say("Block without a body", "Labels are texts in straight quotes, and the { that opens the block stands behind them on the same line.")
	case "Invalid single-argument block definition":
		say("Several things on one line", "A block on one line holds one attribute and its }. Write each attribute, and the }, on a line of its own.")
	case "Missing newline after argument", "Missing newline after block definition":
		say("Line that goes on", "One attribute or block ends with its line. Begin the next on a new line; a text stands in quotes.")
	case "Missing item separator", "Missing argument separator", "Unbalanced parentheses", "Missing closing parenthesis",
		"Unterminated tuple constructor expression", "Unterminated function call", "Unterminated object constructor expression":
		if bytes.HasPrefix(rest, []byte("}")) || bytes.HasPrefix(rest, []byte("\n")) || len(rest) == 0 {
			say("Bracket without an end", "A bracket that was opened before is not closed here. Add the ] or ) it needs.")
			return
		}
		say("Comma expected", "Elements of a list, a map and a call are parted by commas, and the bracket closes behind the last.")
	case "Invalid escape sequence":
		say("Unknown escape", `A backslash begins an escape such as \n, \t, \" or \u00e9. Write \\ for a backslash itself, as in "\\d+".`)
	case "Invalid string literal":
		say("Template in a label", "A label is a fixed text: ${ } cannot stand in it.")
	case "Invalid expression", "Missing expression":
		say("Value expected", "An expression lacks a part here: a text in quotes, a number, true, false, null, a list, a map, a call or a reference.")
		if bytes.HasPrefix(rest, []byte("${")) {
			say("Template outside of a text", `${ } stands within quotes: "${var.name}". Alone, a reference needs none: var.name.`)
		}
	case "Invalid character":
		if bytes.HasPrefix(rest, []byte("${")) {
			say("Template outside of a text", `${ } stands within quotes: "${var.name}". Alone, a reference needs none: var.name.`)
		}
	default:
		d.Detail = columns.ReplaceAllString(d.Detail, "$1")
	}
}

// neither says what stands where an attribute or a block should begin.
func neither(text, rest []byte, d *hcl.Diagnostic) {
	say := func(summary, format string, args ...any) {
		d.Summary, d.Detail = summary, fmt.Sprintf(format, args...)
	}
	word := string(name.Find(rest))
	after := bytes.TrimLeft(rest[len(word):], " \t")
	switch {
	case bytes.HasPrefix(rest, []byte("}")):
		say(strayBrace, "No block is open here. Take this } out; or a block above ends too early.")
	case bytes.HasPrefix(rest, []byte("/*")):
		say(openComment, "There is no */ before the end of the file.")
	case len(bytes.TrimSpace(text[:d.Subject.Start.Byte])) == 0 && bytes.HasPrefix(rest, []byte("{")):
		say("Not a scenario file", "This looks like JSON. A scenario file holds blocks: scenario \"name\" { ... }.")
	case word != "" && (bytes.HasPrefix(after, []byte(":")) || bytes.HasPrefix(after, []byte("="))):
		say("Equals sign expected", "Write %s = value, or %s { ... } for a block.", word, word)
	case word != "":
		say("Attribute or block expected", "%q stands here alone: write %s = value, or %s { ... } for a block.", word, word, word)
	default:
		say("Attribute or block expected", "Write name = value, or name { ... } for a block.")
	}
}
