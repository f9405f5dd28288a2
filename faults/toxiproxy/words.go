package toxiproxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
)

// How hits speak to people. What a toxic does is said once, by its kind, from what the
// scenario asks for; what a server lists is said by spec.listed, from what was read.

// attribute is one number of a toxic as toxiproxy counts it, with its unit.
type attribute struct {
	Name  string  `json:"name"` // on the wire
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // empty where the name says it
}

// inMillis and inMicros are durations as toxiproxy counts them.
func inMillis(name string, d time.Duration) attribute {
	return attribute{name, float64(d.Milliseconds()), "ms"}
}

func inMicros(name string, d time.Duration) attribute {
	return attribute{name, float64(d.Microseconds()), "µs"}
}

// listed says what a server lists: "latency (latency 300 ms, jitter 50 ms) downstream".
func (s spec) listed(toxic client.Toxic) string {
	var numbers []string
	for _, a := range s.Attributes {
		number := a.Name + " missing"
		if value, found := toxic.Attributes[a.Name]; found {
			number = strings.TrimSpace(fmt.Sprintf("%s %v %s", a.Name, plain(value), a.Unit))
		}
		numbers = append(numbers, number)
	}
	return fmt.Sprintf("%s (%s) %s%s", toxic.Type, strings.Join(numbers, ", "), toxic.Stream, share(toxic.Toxicity))
}

// plain keeps a large number from being written as 1e+06.
func plain(value any) any {
	if number, is := value.(float64); is {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return value
}

// share says which connections are hit; nothing if all are. toxiproxy holds toxicity as
// a float32, whose shortest text is what the scenario wrote.
func share(toxicity float32) string {
	if toxicity == 1 {
		return ""
	}
	exact, err := strconv.ParseFloat(strconv.FormatFloat(float64(toxicity), 'g', -1, 32), 64)
	if err != nil { // what FormatFloat writes can be read
		exact = float64(toxicity)
	}
	return fmt.Sprintf(" for %v of connections", experiments.Percent(exact))
}

// traffic is what passes in the direction that is hit.
func (t *Toxic) traffic() string {
	if t.Stream == "upstream" {
		return "requests"
	}
	return "answers"
}

// one is one of what traffic names.
func (t *Toxic) one() string {
	if t.Stream == "upstream" {
		return "request"
	}
	return "answer"
}

// stream is the direction that is hit.
func (t *Toxic) stream() string {
	if t.Stream == "upstream" {
		return t.Stream
	}
	return "downstream"
}

// plusMinus says a size and how much it varies, if it does.
func plusMinus(size, variation string, varies bool) string {
	if !varies {
		return size
	}
	return size + " ± " + variation
}

// say writes a duration in a sentence: "300 ms", "2.5 s", "1m30s".
func say(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%g µs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%g ms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%g s", d.Seconds())
	}
	return experiments.FormatDuration(d)
}
