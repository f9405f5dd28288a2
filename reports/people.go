package reports

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"

	"github.com/gameday-sh/gameday/internal/textsafe"
)

// mostWritten bounds what a page shows of one place; Markdown has all of it.
const mostWritten = 32 << 10

// peopleHTML renders what people wrote in Markdown as HTML that can do no harm: no HTML
// of theirs, no pictures, links only to http and https.
func peopleHTML(text string) (template.HTML, error) {
	if text == "" {
		return "", nil
	}
	cut := len(text) > mostWritten
	if cut {
		text = strings.ToValidUTF8(text[:mostWritten], "")
		if end := strings.LastIndexByte(text, '\n'); end > 0 {
			text = text[:end+1]
		}
	}
	var b bytes.Buffer
	if err := newPeopleMarkdown().Convert([]byte(visible(text)), &b); err != nil {
		return "", fmt.Errorf("rendering what people wrote: %w", err)
	}
	// Thousands of nested quotations are nothing that a person wrote to be read.
	if b.Len() > 3*mostWritten {
		b.Reset()
		b.WriteString("<pre>" + html.EscapeString(visible(text)) + "</pre>")
	}
	if cut {
		b.WriteString("<p class=\"more\">The rest is in report.md.</p>")
	}
	return template.HTML(b.String()), nil //nolint:gosec // every node is written by goldmark or below
}

// newPeopleMarkdown reads GitHub's Markdown, as far as a report needs it.
func newPeopleMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Linkify),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(harmless{}, 100))),
	)
}

// Visible is a text that people wrote, safe to show on a terminal: without escapes and
// characters that nobody sees.
func Visible(text []byte) []byte { return []byte(visible(string(text))) }

// visible is a text without terminal escapes and characters that nobody sees.
func visible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		if n := textsafe.Escape(text); n > 0 {
			text = text[n:]
			continue
		}
		char, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		if char == '\n' || char == '\t' || !unicode.IsControl(char) && !hidden(char) {
			b.WriteRune(char)
		}
	}
	return b.String()
}

// harmless writes the nodes whose usual form could load, run or break something, or is
// not accessible.
type harmless struct{}

// RegisterFuncs implements [renderer.NodeRenderer].
func (h harmless) RegisterFuncs(to renderer.NodeRendererFuncRegisterer) {
	to.Register(ast.KindLink, h.link)
	to.Register(ast.KindImage, h.link)
	to.Register(ast.KindAutoLink, h.autoLink)
	to.Register(ast.KindRawHTML, h.rawHTML)
	to.Register(ast.KindHTMLBlock, h.htmlBlock)
	to.Register(ast.KindHeading, h.heading)
	to.Register(east.KindTable, h.table)
	to.Register(east.KindTableCell, h.cell)
	to.Register(east.KindTaskCheckBox, h.box)
}

// writes gives a node renderer its result; goldmark flushes and reports what fails.
func writes(w util.BufWriter, texts ...string) (ast.WalkStatus, error) {
	for _, text := range texts {
		if _, err := w.WriteString(text); err != nil {
			return ast.WalkStop, err
		}
	}
	return ast.WalkContinue, nil
}

// web tells whether an address leads to a web page and nowhere else.
func web(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func anchor(address string) string {
	return `<a href="` + html.EscapeString(address) + `" rel="noopener noreferrer nofollow">`
}

func (harmless) link(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	var address string
	switch n := n.(type) {
	case *ast.Link:
		address = string(n.Destination)
	case *ast.Image:
		address = string(n.Destination)
	}
	switch {
	case !web(address):
		return ast.WalkContinue, nil
	case entering:
		return writes(w, anchor(address))
	}
	return writes(w, "</a>")
}

func (harmless) autoLink(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	link := n.(*ast.AutoLink)
	address, label := string(link.URL(source)), html.EscapeString(string(link.Label(source)))
	if !web(address) {
		return writes(w, label)
	}
	return writes(w, anchor(address), label, "</a>")
}

// rawHTML shows a tag as the text that it is, and leaves out a comment.
func (harmless) rawHTML(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	text := string(n.(*ast.RawHTML).Segments.Value(source))
	switch {
	case breaks.MatchString(text):
		return writes(w, "<br>")
	case strings.HasPrefix(text, "<!--"):
		return ast.WalkContinue, nil
	}
	return writes(w, html.EscapeString(text))
}

func (harmless) htmlBlock(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := n.(*ast.HTMLBlock)
	text := string(block.Lines().Value(source))
	if block.HasClosure() {
		text += string(block.ClosureLine.Value(source))
	}
	if text = strings.TrimSpace(comment.ReplaceAllString(strings.ReplaceAll(text, "\n", " "), "")); text == "" {
		return ast.WalkContinue, nil
	}
	return writes(w, "<p>", html.EscapeString(text), "</p>\n")
}

// heading writes headings below those of the page.
func (harmless) heading(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	tag := fmt.Sprintf("h%d>", min(n.(*ast.Heading).Level+3, 6))
	if entering {
		return writes(w, "<", tag)
	}
	return writes(w, "</", tag, "\n")
}

func (harmless) table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		return writes(w, "<table class=\"cards\">\n<caption>A table that people wrote</caption>\n")
	}
	// Each row after the headings is in a body of the table; goldmark opens it with the
	// first, and closes it with the last.
	return writes(w, "</table>\n")
}

func (harmless) cell(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	head := n.Parent().Kind() == east.KindTableHeader
	switch {
	case head && entering:
		return writes(w, `<th scope="col">`)
	case head:
		return writes(w, "</th>\n")
	case !entering:
		return writes(w, "</td>\n")
	}
	column := n.Parent().Parent().FirstChild().FirstChild()
	for before := n.PreviousSibling(); before != nil && column != nil; before = before.PreviousSibling() {
		column = column.NextSibling()
	}
	label := ""
	if column != nil {
		label = words(column, source)
	}
	return writes(w, `<td data-label="`, html.EscapeString(label), `">`)
}

// words is the text of a node without markup.
func words(n ast.Node, source []byte) string {
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if text, ok := child.(*ast.Text); ok {
			b.Write(text.Segment.Value(source))
			continue
		}
		b.WriteString(words(child, source))
	}
	return b.String()
}

func (harmless) box(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	switch {
	case !entering:
		return ast.WalkContinue, nil
	case n.(*east.TaskCheckBox).IsChecked:
		return writes(w, "☑ ")
	}
	return writes(w, "☐ ")
}
