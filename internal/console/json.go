package console

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/gameday-sh/gameday/experiments"
)

// NewJSON writes each event as a line of JSON. Events of several runs follow each
// other; each run starts with a "begin".
func NewJSON(w io.Writer) View { return &jsonView{encoder: json.NewEncoder(w)} }

type jsonView struct {
	encoder *json.Encoder
	err     error
}

func (v *jsonView) Event(event experiments.Event) {
	if v.err != nil {
		return // a line after a lost one would look as if nothing were missing
	}
	if err := v.encoder.Encode(event); err != nil {
		v.err = fmt.Errorf("write the events as JSON: %w", err)
	}
}

func (v *jsonView) Close() error { return v.err }
