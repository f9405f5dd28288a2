package prom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Line is one series of the answer to a range query: values at steps, of which some may
// be absent.
type Line struct {
	Labels labels.Labels
	At     []int64 // milliseconds since 1970, rising
	Value  []float64
	// Histogram tells that some of the values are native histograms, not numbers.
	Histogram bool
}

// decodeLines reads the body of an answer to a range query, as strictly as decodeAnswer.
func decodeLines(body []byte) ([]Line, error) {
	reply, err := decodeReply(body)
	if err != nil {
		return nil, err
	}
	if reply.Data.ResultType != parser.ValueTypeMatrix {
		return nil, fmt.Errorf("its result type is %q", reply.Data.ResultType)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(reply.Data.Result), []byte("[")) {
		return nil, errors.New("its result is not a list")
	}
	var list []struct {
		Metric     map[string]string `json:"metric"`
		Values     []sampleText      `json:"values"`
		Histograms []json.RawMessage `json:"histograms"`
	}
	if err := json.Unmarshal(reply.Data.Result, &list); err != nil {
		return nil, err
	}
	lines := make([]Line, 0, len(list))
	for _, element := range list {
		line := Line{Labels: labels.FromMap(element.Metric), Histogram: len(element.Histograms) > 0}
		for _, sample := range element.Values {
			if n := len(line.At); n > 0 && line.At[n-1] >= sample.at {
				return nil, errors.New("its samples are not in the order of time")
			}
			line.At = append(line.At, sample.at)
			line.Value = append(line.Value, sample.value)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// sampleText is [seconds since 1970, "number"].
type sampleText struct {
	at    int64
	value float64
}

// UnmarshalJSON reads the pair without taking it apart by reflection: a course has
// thousands of them.
func (s *sampleText) UnmarshalJSON(text []byte) error {
	notPair := errors.New("a sample of it is not a pair of time and value")
	text = bytes.TrimSpace(text)
	inner, found := bytes.CutPrefix(text, []byte("["))
	inner, closed := bytes.CutSuffix(inner, []byte("]"))
	first, second, parted := bytes.Cut(inner, []byte(","))
	if !found || !closed || !parted {
		return notPair
	}
	seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(first)), 64)
	if err != nil || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return notPair
	}
	second = bytes.TrimSpace(second)
	quoted, opened := bytes.CutPrefix(second, []byte(`"`))
	quoted, ended := bytes.CutSuffix(quoted, []byte(`"`))
	if !opened || !ended {
		return notPair
	}
	s.at = int64(math.Round(seconds * 1000))
	s.value, err = strconv.ParseFloat(string(quoted), 64)
	return err
}
