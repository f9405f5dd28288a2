package prom

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// A Querier answers a PromQL expression at one moment. What keeps it from
// answering is a [QueryError].
type Querier interface {
	Query(ctx context.Context, expr string, at time.Time) (Answer, error)
}

// Answer is the result of an instant query.
type Answer struct {
	// Type is vector, scalar, string or matrix. Of a matrix, Points has the last sample
	// of each series; of a string it is empty.
	Type   parser.ValueType
	Points []Point
	// Warnings are the server's words about an answer that it gave all the same.
	Warnings []string
}

// Point is one series of an answer.
type Point struct {
	Labels labels.Labels
	At     time.Time
	Value  float64 // NaN for a native histogram
	// Histogram tells that the value is a native histogram, not a number.
	Histogram bool
}

// QueryError says why a query has no answer. Condition is Unreachable where the
// server did not answer, Refused where it answered with an error, and Broken
// where the query could not be sent.
type QueryError struct {
	Condition experiments.Condition
	Text      string
}

func (e *QueryError) Error() string { return e.Text }

func failf(condition experiments.Condition, format string, values ...any) *QueryError {
	return &QueryError{condition, fmt.Sprintf(format, values...)}
}

// conditionOf tells what an error of a Querier means for a measurement.
func conditionOf(err error) (experiments.Condition, string) {
	var failed *QueryError
	if errors.As(err, &failed) {
		return failed.Condition, failed.Text
	}
	return experiments.Broken, err.Error()
}

// number reads the one number of an answer; what says which query it is.
func number(points []Point, what, query string) (float64, *QueryError) {
	switch {
	case len(points) == 0:
		return math.NaN(), failf(experiments.NoData, "%s matched no series: %s", what, brief(query))
	case len(points) > 1:
		return math.NaN(), failf(experiments.ManySeries, "%s gave %d series, such as %s and %s; write sum(...) around it to make them one", what, len(points), points[0].Labels, points[1].Labels)
	case points[0].Histogram:
		return math.NaN(), failf(experiments.Refused, "%s gave a native histogram, not a number; write histogram_count(...) or histogram_quantile(...) around it", what)
	case math.IsNaN(points[0].Value):
		return math.NaN(), failf(experiments.NotANumber, "%s gave NaN, as of 0/0: %s", what, brief(query))
	case math.IsInf(points[0].Value, 0):
		return math.NaN(), failf(experiments.NotANumber, "%s gave %v, as of a division by 0: %s", what, points[0].Value, brief(query))
	}
	return points[0].Value, nil
}

const briefLength = 200 // runes

// brief makes a text from outside fit for one line of a report: no control
// characters, single blanks, at most 200 characters.
func brief(text string) string {
	// A body may be megabytes; four bytes a rune are enough to look at.
	if len(text) > 8*briefLength {
		text = text[:8*briefLength]
	}
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)), " ")
	if utf8.RuneCountInString(text) > briefLength {
		text = string([]rune(text)[:briefLength]) + "…"
	}
	return text
}
