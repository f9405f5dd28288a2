package experiments

import (
	"encoding/json"
	"strings"
)

// Template is a text with places for what a journey captures on its way, such as
// "Bearer ${capture.token}". It may hold secrets: like one, it prints and marshals as
// "(secret)", and Render gives the text to the one call that needs it.
type Template struct{ pieces []Piece }

// Piece is a part of a template: a fixed text, or the place of a captured value.
type Piece struct {
	Text    string
	Capture string // the name of the value; empty for a fixed text
	// JSON tells that the value stands within a JSON string, and is escaped for that.
	JSON bool
}

// NewTemplate joins pieces.
func NewTemplate(pieces ...Piece) Template {
	var list []Piece
	for _, piece := range pieces {
		if n := len(list); piece.Capture == "" && n > 0 && list[n-1].Capture == "" {
			list[n-1].Text += piece.Text
			continue
		}
		list = append(list, piece)
	}
	return Template{list}
}

// IsZero tells whether nothing was written.
func (t Template) IsZero() bool {
	return len(t.pieces) == 0 || len(t.pieces) == 1 && t.pieces[0].Capture == "" && t.pieces[0].Text == ""
}

// Fixed returns the text before the first captured value, and whether that is all.
func (t Template) Fixed() (text string, whole bool) {
	switch {
	case len(t.pieces) == 0:
		return "", true
	case t.pieces[0].Capture != "":
		return "", false
	}
	return t.pieces[0].Text, len(t.pieces) == 1
}

// Render puts the captured values into their places, each after escape was asked to
// make it fit; nil leaves them as they are.
func (t Template) Render(captured map[string]string, escape func(string) string) string {
	var out strings.Builder
	for _, piece := range t.pieces {
		if piece.Capture == "" {
			out.WriteString(piece.Text)
			continue
		}
		value := captured[piece.Capture]
		if piece.JSON {
			value = WithinJSON(value)
		}
		if escape != nil {
			value = escape(value)
		}
		out.WriteString(value)
	}
	return out.String()
}

// WithinJSON writes a text as it stands between the quotes of a JSON string.
func WithinJSON(text string) string {
	// A string always marshals: what is no UTF-8 in it becomes U+FFFD.
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

func (t Template) String() string { return "(secret)" }

// GoString keeps %#v from showing the text.
func (t Template) GoString() string { return "(secret)" }

// MarshalJSON keeps the text out of every stored file.
func (t Template) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
