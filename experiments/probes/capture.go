package probes

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// longestCapture bounds a captured value: what a server calls its token must not fill
// the memory or every later request.
const longestCapture = 16 << 10

// Capture takes a value out of an answer, for the later steps of a journey.
type Capture struct {
	Name     string `hcl:"name,label"`
	JSONPath string `hcl:"json_path,optional" doc:"JSONPath that must name one text, number or boolean in the body." example:"$.token"`
	Header   string `hcl:"header,optional" doc:"Header of the answer." example:"X-Request-Id"`
	Cookie   string `hcl:"cookie,optional" doc:"Cookie that the journey holds by then for the address that answered." example:"session"`
	Regexp   string `hcl:"regexp,optional" doc:"Regular expression (RE2): the value is what its first group matches, or all of it without a group. It searches the body, or what json_path, header or cookie found." example:"name=\"csrf\" value=\"([^\"]+)\""`
}

// Validate implements experiments.Validator.
func (c *Capture) Validate() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	sources := 0
	for _, source := range []string{c.JSONPath, c.Header, c.Cookie} {
		if source != "" {
			sources++
		}
	}
	switch {
	case sources > 1:
		add("", "Two places to look", "a value is captured from one place: keep one of json_path, header and cookie")
	case sources == 0 && c.Regexp == "":
		add("", "Nothing to capture", "say where the value is: json_path, header, cookie, or a regexp that searches the body")
	}
	if c.JSONPath != "" {
		if _, err := newPicker(c.JSONPath); err != nil {
			add("json_path", "Unusable JSONPath", err.Error())
		}
	}
	if c.Header != "" && !isToken(c.Header) {
		add("header", "Unusable header", fmt.Sprintf("%q cannot be the name of a header", textsafe.Line(c.Header, longQuote)))
	}
	if c.Cookie != "" && !isToken(c.Cookie) {
		add("cookie", "Unusable cookie", fmt.Sprintf("%q cannot be the name of a cookie", textsafe.Line(c.Cookie, longQuote)))
	}
	if _, err := regexp.Compile(c.Regexp); err != nil {
		add("regexp", "Unusable regular expression", err.Error())
	}
	return list
}

// catcher is a Capture made ready.
type catcher struct {
	*Capture
	picker *picker
	search *regexp.Regexp
}

func (c *Capture) compile() (*catcher, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("capture %q: %s", c.Name, problems[0].Detail)
	}
	ready := &catcher{Capture: c}
	var err error
	if c.JSONPath != "" {
		if ready.picker, err = newPicker(c.JSONPath); err != nil {
			return nil, err
		}
	}
	if c.Regexp != "" {
		if ready.search, err = regexp.Compile(c.Regexp); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// readsBody tells whether the value is looked for in the body.
func (c *catcher) readsBody() bool { return c.Header == "" && c.Cookie == "" }

// take finds the value in an answer. The error never holds what the server said.
func (c *catcher) take(got reply, jar http.CookieJar, maxBody int) (string, error) {
	value, err := c.find(got, jar, maxBody)
	if err == nil && c.search != nil {
		match := c.search.FindStringSubmatch(value)
		switch {
		case match == nil && got.more && c.picker == nil && c.readsBody():
			err = fmt.Errorf("nothing matches %s in the first %d bytes of the body (max_body)", textsafe.Line(c.Regexp, longQuote), maxBody)
		case match == nil:
			err = fmt.Errorf("nothing matches %s", textsafe.Line(c.Regexp, longQuote))
		default:
			value = match[min(1, len(match)-1)]
		}
	}
	switch {
	case err != nil:
	case value == "":
		err = errors.New("it is empty")
	case len(value) > longestCapture:
		err = fmt.Errorf("it is longer than %d bytes", longestCapture)
	case !utf8.ValidString(value):
		err = errors.New("it is not UTF-8")
	}
	if err != nil {
		return "", fmt.Errorf("capture %q: %w", c.Name, err)
	}
	return value, nil
}

func (c *catcher) find(got reply, jar http.CookieJar, maxBody int) (string, error) {
	switch {
	case c.Header != "":
		value := got.answer.Header.Get(c.Header)
		if value == "" {
			return "", fmt.Errorf("the answer has no header %s", c.Header)
		}
		return value, nil
	case c.Cookie != "":
		// Those that the answer sets may be for other addresses than its own.
		for _, cookie := range append(got.answer.Cookies(), jar.Cookies(got.answer.Request.URL)...) {
			if cookie.Name == c.Cookie && cookie.Value != "" {
				return cookie.Value, nil
			}
		}
		return "", fmt.Errorf("there is no cookie %s", c.Cookie)
	case c.picker == nil:
		return string(got.body), nil
	case got.more:
		return "", errors.New(cutOff(maxBody))
	}
	value, err := c.picker.pick(got.body)
	if err != nil {
		return "", err
	}
	switch value.(type) {
	case nil:
		return "", fmt.Errorf("%s is null", c.JSONPath)
	case []any, map[string]any:
		return "", fmt.Errorf("%s is a list or an object, and one text is needed", c.JSONPath)
	}
	return textOf(value), nil
}
