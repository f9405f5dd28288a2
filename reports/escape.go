package reports

import (
	"regexp"
	"strings"
)

var (
	// special is what CommonMark and its tables give a meaning anywhere in a line.
	special = regexp.MustCompile("[\\\\`*\\[\\]|~$]|\\b_+|_+\\b|__+")
	// leading is what has a meaning at the start of a line.
	leading = regexp.MustCompile(`^(?:[-+=#>:]|\d{1,9}([.)])(?:\s|$))`)
	// linked is what renderers turn into a link or a call for a person unasked.
	linked = regexp.MustCompile(`(?i)(://|www\.|@|#\d)`)
	// entities are written for what HTML would read as markup.
	entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
)

// escape makes a clean text mean itself in Markdown, wherever it stands.
func escape(text string) string {
	text = escapeWithin(text)
	if loc := leading.FindStringSubmatchIndex(text); loc != nil {
		at := 0
		if loc[2] >= 0 {
			at = loc[2]
		}
		text = text[:at] + `\` + text[at:]
	}
	return text
}

// escapeWithin does so where the text does not begin a line, as in a table.
func escapeWithin(text string) string {
	text = special.ReplaceAllStringFunc(text, func(found string) string {
		var b strings.Builder
		for _, char := range found {
			b.WriteByte('\\')
			b.WriteRune(char)
		}
		return b.String()
	})
	text = entities.Replace(text)
	// An entity in the middle reads the same and is no longer a link.
	text = linked.ReplaceAllStringFunc(text, func(found string) string {
		switch found[0] {
		case ':':
			return "&#58;//"
		case '@':
			return "&#64;"
		case '#':
			return "&#35;" + found[1:]
		}
		return found[:3] + "&#46;"
	})
	return text
}

// code makes a clean text a code span, with a fence longer than any run of backticks
// in it. A pipe is escaped, because tables are cut into cells before code is read.
func code(text string) string {
	if text == "" {
		return ""
	}
	longest, run := 0, 0
	for _, char := range text {
		if char == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}
