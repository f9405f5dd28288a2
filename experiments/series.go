package experiments

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Float is a number that may be unknown: NaN and infinities marshal as null, and
// null reads as NaN.
type Float float64

// MarshalJSON writes null for what JSON has no number for.
func (f Float) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads null as NaN.
func (f *Float) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(f))
}

// Known tells whether f is a number.
func (f Float) Known() bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

// Floats is a column of numbers; unknown ones marshal as null.
type Floats []float64

// MarshalJSON writes the column without an allocation a number.
func (c Floats) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 2+8*len(c))
	text = append(text, '[')
	for i, number := range c {
		if i > 0 {
			text = append(text, ',')
		}
		if math.IsNaN(number) || math.IsInf(number, 0) {
			text = append(text, "null"...)
			continue
		}
		text = strconv.AppendFloat(text, number, 'g', -1, 64)
	}
	return append(text, ']'), nil
}

// UnmarshalJSON reads null as NaN.
func (c *Floats) UnmarshalJSON(text []byte) error {
	text = bytes.TrimSpace(text)
	if string(text) == "null" {
		*c = nil
		return nil
	}
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return &json.UnmarshalTypeError{Value: "value", Type: nil}
	}
	text = bytes.TrimSpace(text[1 : len(text)-1])
	column := make(Floats, 0, bytes.Count(text, []byte(","))+1)
	for len(text) > 0 {
		field, rest, _ := bytes.Cut(text, []byte(","))
		field = bytes.TrimSpace(field)
		if string(field) == "null" {
			column = append(column, math.NaN())
		} else {
			number, err := strconv.ParseFloat(string(field), 64)
			if err != nil {
				return err
			}
			column = append(column, number)
		}
		text = rest
	}
	*c = column
	return nil
}

// Series is everything that was measured of one probe or SLO, a column a field,
// for the report. All columns have the length of At.
type Series struct {
	Name string `json:"name"` // "probe.front_door", "journey.checkout", "slo.checkout"
	Kind string `json:"kind"` // "probe" (of journeys too) or "slo"
	Unit string `json:"unit,omitempty"`
	// At is in seconds since the run began.
	At Floats `json:"at"`
	// Latency is in seconds (probes); Value the number read, if any.
	Latency Floats `json:"latency,omitempty"`
	Value   Floats `json:"value,omitempty"`
	// Bad and Total count events: of one measurement (probes), or of the Window that
	// ends at At (SLOs). Null where nothing could be read.
	Bad    Floats        `json:"bad,omitempty"`
	Total  Floats        `json:"total,omitempty"`
	Window time.Duration `json:"window_ns,omitempty"`
	// Gaps lists the stretches in which nothing could be read, and why.
	Gaps []Gap `json:"gaps,omitempty"`
}

// Gap is a stretch of a series without a usable measurement.
type Gap struct {
	From      Float     `json:"from"` // seconds since the run began
	To        Float     `json:"to"`
	Condition Condition `json:"condition"`
	Why       string    `json:"why,omitempty"`
}
