package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestASetHoldsCodes(t *testing.T) {
	for _, test := range []struct {
		name    string
		texts   []string
		has     []int
		hasNot  []int
		problem string
	}{
		{name: "a single code", texts: []string{"200"}, has: []int{200}, hasNot: []int{199, 201}},
		{name: "a class", texts: []string{"2xx"}, has: []int{200, 299}, hasNot: []int{199, 300}},
		{name: "a class in capitals", texts: []string{"5XX"}, has: []int{500, 599}, hasNot: []int{499}},
		{name: "a range with both ends", texts: []string{"200-204"}, has: []int{200, 204}, hasNot: []int{205}},
		{name: "several", texts: []string{"0", " 3 - 5 ", "2xx"}, has: []int{0, 3, 5, 250}, hasNot: []int{1, 2, 6}},
		{name: "nothing holds nothing", hasNot: []int{0, 200}},
		{name: "a word is refused", texts: []string{"ok"}, problem: `"ok" is not a code`},
		{name: "a class that HTTP lacks is refused", texts: []string{"6xx"}, problem: `"6xx" is not a code`},
		{name: "a sign is refused", texts: []string{"+200"}, problem: `"+200" is not a code`},
		{name: "an open range is refused", texts: []string{"200-"}, problem: `"200-" is not a range`},
		{name: "a range of classes is refused", texts: []string{"2xx-3xx"}, problem: `"2xx-3xx" is not a code`},
		{name: "a range that runs backwards is refused", texts: []string{"299-200"}, problem: `write "200-299"`},
		{name: "an empty text is refused", texts: []string{""}, problem: `"" is not a code`},
	} {
		t.Run(test.name, func(t *testing.T) {
			codes, err := parseSet(test.texts)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("error = %v, want %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, code := range test.has {
				if !codes.has(code) {
					t.Errorf("%v lacks %d", test.texts, code)
				}
			}
			for _, code := range test.hasNot {
				if codes.has(code) {
					t.Errorf("%v has %d", test.texts, code)
				}
			}
		})
	}
}

func TestAPickerFindsOneValue(t *testing.T) {
	for _, test := range []struct {
		name, path, text string
		want             string // as textOf writes it
		number           float64
		problem          string
	}{
		{name: "a text", path: "$.status", text: `{"status":"ok"}`, want: "ok", number: math.NaN()},
		{name: "an integer", path: "$.n", text: `{"n":42}`, want: "42", number: 42},
		{name: "a fraction", path: "$.n", text: `{"n":0.25}`, want: "0.25", number: 0.25},
		{name: "a number beyond 64 bits", path: "$.n", text: `{"n":12345678901234567890}`, want: "12345678901234567890", number: 12345678901234567890},
		{name: "a number beyond floats is none", path: "$.n", text: `{"n":1e999}`, number: math.NaN()},
		{name: "a number in quotes is a text", path: "$.n", text: `{"n":"42"}`, want: "42", number: math.NaN()},
		{name: "a truth", path: "$.up", text: `{"up":true}`, want: "true", number: math.NaN()},
		{name: "null is a value", path: "$.error", text: `{"error":null}`, want: "null", number: math.NaN()},
		{name: "an object, with its keys sorted", path: "$.o", text: `{"o":{"b":1,"a":2}}`, want: `{"a":2,"b":1}`, number: math.NaN()},
		{name: "an element that a filter finds", path: "$.items[?(@.id == 7)].n", text: `{"items":[{"id":6,"n":1},{"id":7,"n":2}]}`, want: "2", number: 2},
		{name: "the whole document", path: "$", text: " 5\n", want: "5", number: 5},
		{name: "nothing there", path: "$.a.b", text: `{"a":1}`, problem: "nothing at $.a.b"},
		{name: "several there", path: "$[*]", text: `[1,2,3]`, problem: "3 values at $[*]"},
		{name: "an empty text", path: "$", text: " ", problem: "not JSON: empty"},
		{name: "no JSON", path: "$.a", text: "<html>", problem: "not JSON: "},
		{name: "JSON that is cut off", path: "$.a", text: `{"a":1`, problem: "not JSON: "},
		{name: "two documents", path: "$", text: `1 2`, problem: "not JSON: "},
		{name: "nesting without end", path: "$..a", text: strings.Repeat("[", 100_000), problem: "not JSON: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := newPicker(test.path)
			if err != nil {
				t.Fatal(err)
			}
			value, err := p.pick([]byte(test.text))
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("error = %v, want %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := number(value); n != test.number && !(math.IsNaN(n) && math.IsNaN(test.number)) {
				t.Errorf("number = %v, want %v", n, test.number)
			}
			if test.want != "" && textOf(value) != test.want {
				t.Errorf("text = %q, want %q", textOf(value), test.want)
			}
		})
	}
	for _, path := range []string{"", "$[", "a b", "{.status}"} {
		if _, err := newPicker(path); err == nil || !strings.Contains(err.Error(), "$.status") {
			t.Errorf("newPicker(%q) gave %v, want an error with an example", path, err)
		}
	}
}

func TestValuesAreEqualToTexts(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
		equal bool
	}{
		{"ok", "ok", true}, {"ok", "OK", false}, {"1", "1.0", false},
		{int64(1), "1", true}, {int64(1), "1.0", true}, {1.5, "1.50", true}, {int64(1), "2", false}, {int64(1), "one", false},
		{int64(9007199254740993), "9007199254740993", true}, {int64(9007199254740993), "9007199254740992", false},
		{true, "true", true}, {true, "1", false}, {nil, "null", true}, {nil, "", false},
		{[]any{int64(1)}, "[1]", true},
	} {
		if equal(test.value, test.want) != test.equal {
			t.Errorf("equal(%#v, %q) is not %v", test.value, test.want, test.equal)
		}
	}
}

func TestReasonsArePlainWords(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: err}
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"a refused connection", &url.Error{Op: "Get", URL: "http://u:hidden@x/?token=hidden", Err: dial(syscall.ECONNREFUSED)}, "connection refused"},
		{"a reset", dial(syscall.ECONNRESET), "connection reset"},
		{"a write to a connection that is gone", dial(syscall.EPIPE), "connection reset"},
		{"an answer that ends early", io.ErrUnexpectedEOF, "connection closed before the answer was complete"},
		{"no answer at all", &url.Error{Op: "Get", URL: "http://x/", Err: io.EOF}, "connection closed before the answer was complete"},
		{"an HTTP/2 server that hung up first", errors.New("http2: client conn could not be established"), "connection closed before the answer was complete"},
		{"a name that does not exist", dial(&net.DNSError{Err: "no such host", Name: "shop\x1b[31m.invalid", IsNotFound: true}), "no such host: shop.invalid"},
		{"a resolver that fails", dial(&net.DNSError{Err: "server misbehaving", Name: "shop", Server: "127.0.0.53"}), "dial tcp 127.0.0.1:1: lookup shop on 127.0.0.53: server misbehaving"},
		{"time that ran out", fmt.Errorf("read: %w", context.DeadlineExceeded), "no answer in time"},
		{"a server without TLS", fmt.Errorf("handshake: %w", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), "the server does not speak TLS"},
		{"anything else, without the URL around it", &url.Error{Op: "Get", URL: "http://x/?token=hidden", Err: errors.New("odd\nerror")}, "odd error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reason(t.Context(), test.err, "no answer"); got != test.want {
				t.Errorf("reason = %q, want %q", got, test.want)
			}
		})
	}
}

func TestOnlyOurOwnFailuresAreNoEvents(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want expect
	}{
		{"the end of the run", over, context.Canceled, expect{condition: experiments.Broken, why: "cancelled"}},
		{"the end of the run, whatever the error", over, syscall.ECONNRESET, expect{condition: experiments.Broken, why: "cancelled"}},
		{"no file descriptors left", t.Context(), &net.OpError{Op: "dial", Err: syscall.EMFILE}, expect{condition: experiments.Broken, why: "ulimit -n"}},
		{"no route", t.Context(), &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, expect{why: "no route to host"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.want.check(t, failed(test.ctx, begin(), test.err, "no answer")) })
	}
}

func TestTheTimeThatWasGivenIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]string{time.Second: " within 1s", 90 * time.Second: " within 1m30s", 123 * time.Millisecond: " within 123ms"} {
			ctx, cancel := experiments.WithTimeout(t.Context(), timeout)
			defer cancel()
			time.Sleep(timeout / 3) // as of a step that comes after others
			if got := within(ctx); got != want {
				t.Errorf("%v given: %q, want %q", timeout, got, want)
			}
		}
		if got := within(t.Context()); got != " in time" {
			t.Errorf("no timeout: %q", got)
		}
	})
}

func TestOutputKeepsBothEnds(t *testing.T) {
	t.Parallel()
	var c capped
	for i := range 100_000 {
		c.add(fmt.Appendf(nil, "line %d\n", i))
	}
	if len(c.head) != mostOutput || len(c.last) != mostOutput {
		t.Errorf("kept %d and %d bytes, want %d each", len(c.head), len(c.last), mostOutput)
	}
	if !strings.HasPrefix(string(c.head), "line 0\nline 1\n") || !strings.HasSuffix(string(c.tail()), "line 99998\nline 99999\n") {
		t.Error("the beginning or the end is lost")
	}
	var small capped
	small.add([]byte("a"))
	small.add([]byte("b"))
	if !slices.Equal(small.tail(), []byte("ab")) || small.total != 2 {
		t.Errorf("tail = %q, total = %d; want \"ab\" and 2", small.tail(), small.total)
	}
}
