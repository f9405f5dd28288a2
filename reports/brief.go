package reports

import (
	"bytes"
	"encoding/json"

	"github.com/gameday-sh/gameday/experiments"
)

// Brief reads what a list shows of a stored result: its fields up to the first of the
// lists, and when what it left was mended. It looks no further, which is what makes a
// list of thousands quick; that the text is whole is seen from its end alone. One that
// is laid out in another way than [Store] does is read like [Load] reads it.
func Brief(text []byte) (*experiments.Result, error) {
	head, rest, found := bytes.Cut(text, []byte(",\n  \"phases\": ["))
	if !found || !bytes.HasSuffix(rest, []byte("]\n}\n")) {
		return Load(bytes.NewReader(text))
	}
	brief := append(make([]byte, 0, len(head)+64), head...)
	// A line with this indent can stand nowhere else: a text has no line breaks.
	if _, after, found := bytes.Cut(rest, []byte("\n  \"recovered\": ")); found {
		value, _, _ := bytes.Cut(after, []byte{'\n'})
		brief = append(append(brief, `, "recovered": `...), bytes.TrimSuffix(value, []byte{','})...)
	}
	result := &experiments.Result{}
	if json.Unmarshal(append(brief, '}'), result) != nil || result.Schema != experiments.ResultSchema || check(result) != nil {
		return Load(bytes.NewReader(text)) // which says what is wrong
	}
	return result, nil
}
