package probes

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ohler55/ojg/jp"
	"github.com/ohler55/ojg/oj"

	"github.com/gameday-sh/gameday/internal/textsafe"
)

// picker finds the one value that a JSONPath (RFC 9535) names in a JSON text.
type picker struct {
	source string
	path   jp.Expr
}

func newPicker(path string) (*picker, error) {
	if strings.HasPrefix(path, "{") { // which the parser takes for the start of a name
		return nil, fmt.Errorf("%q is kubectl's way to write one: leave out the braces and begin with a $, as in \"$.status\"", path)
	}
	expression, err := jp.ParseString(path)
	if err != nil {
		return nil, fmt.Errorf("%q is not a JSONPath: %w; write it as \"$.status\" or \"$.items[0].count\"", path, err)
	}
	if len(expression) == 0 {
		return nil, errors.New("the JSONPath is empty; write it as \"$.status\" or \"$.items[0].count\"")
	}
	return &picker{path, expression}, nil
}

// pick returns the value: nil, bool, int64, float64, string, []any, map[string]any,
// or json.Number for a number that fits neither. It is an error, short enough for a
// sample, if text is no JSON or the path matches no value or several.
func (p *picker) pick(text []byte) (any, error) {
	// The parser takes an empty text for null.
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("not JSON: empty")
	}
	var parser oj.Parser
	document, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %s", textsafe.Line(err.Error(), longQuote))
	}
	switch found := p.path.Get(document); len(found) {
	case 0:
		return nil, fmt.Errorf("nothing at %s", p.source)
	case 1:
		return found[0], nil
	default:
		return nil, fmt.Errorf("%d values at %s, which must name one", len(found), p.source)
	}
}

// number is the value as a number, NaN if it is none that is finite.
func number(value any) float64 {
	var n float64
	switch v := value.(type) {
	case int64:
		return float64(v)
	case float64:
		n = v
	case interface{ Float64() (float64, error) }: // json.Number
		parsed, err := v.Float64()
		if err != nil {
			return math.NaN()
		}
		n = parsed
	default:
		return math.NaN()
	}
	if math.IsInf(n, 0) {
		return math.NaN()
	}
	return n
}

// textOf is the value as a scenario writes it: a string as it is, anything else as JSON
// with sorted keys.
func textOf(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return oj.JSON(value, &oj.Options{Sort: true})
}

// equal compares a value with the text of a scenario. Numbers are equal by value:
// 1.0 is "1".
func equal(value any, want string) bool {
	if textOf(value) == want {
		return true
	}
	if n := number(value); !math.IsNaN(n) {
		wanted, err := strconv.ParseFloat(want, 64)
		// Beyond 2^53 floats are equal where the integers are not; there, texts decide.
		return err == nil && n == wanted && math.Abs(n) < 1<<53
	}
	return false
}
