package probes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Step is one request of a journey. Captured values are what servers said, so they are
// made to fit where they stand: escaped in a URL, as a form's fields and within
// jsonencode, and refused in a header that they would break.
type Step struct {
	Name    string                          `hcl:"name,label"`
	URL     experiments.Template            `hcl:"url" doc:"Where the request goes, with http:// or https://. Captured values may stand in the path and in the query, where they are escaped." example:"\"http://127.0.0.1:8080/cart?token=${capture.token}\""`
	Method  string                          `hcl:"method,optional" doc:"Method of the request. Left out: POST where there is a body or a form, else GET." example:"PUT"`
	Headers map[string]experiments.Template `hcl:"headers,optional" doc:"Headers of the request; they are not sent on to another host by a redirect." example:"{ Authorization = \"Bearer ${capture.token}\" }"`
	Body    experiments.Template            `hcl:"body,optional" doc:"Body of the request. Within jsonencode captured values are escaped; elsewhere they stand as they are." example:"jsonencode({ cart = capture.cart, quantity = 2 })"`
	Form    map[string]experiments.Template `hcl:"form,optional" doc:"Fields of a form, which are sent as the body." example:"{ user = \"ada\", password = env(\"SHOP_PASSWORD\") }"`
	Expect
	FollowRedirects bool          `hcl:"follow_redirects,optional" doc:"Follow up to 10 redirects and judge the last answer. One that would send a body to another host is not followed." default:"true"`
	MaxBody         int           `hcl:"max_body,optional" doc:"How much of the body is read and judged; what follows is left unread." default:"1048576" unit:"bytes"`
	Pause           time.Duration `hcl:"pause,optional" doc:"How long the user thinks before this step. It is no part of the journey's duration, and a part of its timeout." default:"0s"`
	Captures        []Capture     `hcl:"capture,block" doc:"Takes a value out of the answer, for later steps: capture.NAME. A value that is not there fails the step."`
}

// Validate implements experiments.Validator.
func (s *Step) Validate() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	if err := checkTarget(s.URL); err != nil && !s.URL.IsZero() { // one that is not known yet is zero
		add("url", "Unusable URL", err.Error())
	}
	if s.Method != "" && !isToken(s.Method) {
		add("method", "Unknown method", fmt.Sprintf("%q is not an HTTP method; write \"GET\", \"HEAD\" or \"POST\"", s.Method))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		fixed, whole := s.Headers[name].Fixed()
		switch {
		case !isToken(name) || !httpguts.ValidHeaderFieldValue(fixed):
			add("headers", "Unusable header", fmt.Sprintf("the name or the value of header %q holds characters that HTTP does not allow there", textsafe.Line(name, longQuote)))
		case strings.EqualFold(name, "Host") && !whole:
			add("headers", "Captured host", "a captured value cannot say which host is meant: write the Host out")
		}
	}
	if !s.Body.IsZero() && len(s.Form) > 0 {
		add("form", "Two bodies", "a request has one body; keep body or form")
	}
	s.problems(add)
	if s.MaxBody < 0 {
		add("max_body", "Negative size", "max_body is a number of bytes, 0 or more")
	}
	if s.Pause < 0 {
		add("pause", "Negative pause", "a pause is 0s or longer")
	}
	taken := map[string]bool{}
	for _, capture := range s.Captures {
		if taken[capture.Name] {
			add("capture", "Duplicate capture", fmt.Sprintf("the step captures %q twice; give one of them another name", textsafe.Line(capture.Name, longQuote)))
		}
		taken[capture.Name] = true
	}
	return list
}

// checkTarget checks a URL whose host no server may choose.
func checkTarget(target experiments.Template) error {
	fixed, whole := target.Fixed()
	if fixed == "" && !whole {
		return errors.New("a server could choose whom the journey talks to: begin the URL with a fixed host, and write captured values into its path or its query")
	}
	if err := checkURL(fixed); err != nil {
		return err
	}
	_, behind, _ := strings.Cut(fixed, "://")
	if !whole && !strings.ContainsAny(behind, "/?#") {
		return errors.New("a captured value follows the host and would change it: write a \"/\" between them")
	}
	return nil
}

// stride is a Step made ready.
type stride struct {
	*Step
	method   string
	header   map[string]experiments.Template // but Host
	host     string
	expected *expectation
	catchers []*catcher
	redirect redirectRule
}

func (s *Step) compile() (*stride, error) {
	if problems := s.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("step %q: %s", textsafe.Line(s.Name, longQuote), problems[0].Detail)
	}
	if err := checkTarget(s.URL); err != nil {
		return nil, fmt.Errorf("step %q: %w", textsafe.Line(s.Name, longQuote), err)
	}
	ready := &stride{Step: s, method: s.Method, header: map[string]experiments.Template{}}
	if ready.method == "" {
		ready.method = http.MethodGet
		if !s.Body.IsZero() || len(s.Form) > 0 {
			ready.method = http.MethodPost
		}
	}
	own := http.Header{}
	for name, value := range s.Headers {
		if strings.EqualFold(name, "Host") {
			ready.host, _ = value.Fixed()
			continue
		}
		name = http.CanonicalHeaderKey(name)
		ready.header[name] = value
		own[name] = nil
	}
	ready.redirect = stay
	if s.FollowRedirects {
		ready.redirect = followWithoutBody(follow(own))
	}
	var err error
	if ready.expected, err = s.Expect.compile(s.MaxBody); err != nil {
		return nil, err
	}
	ready.expected.discreet = true
	for i := range s.Captures {
		catcher, err := s.Captures[i].compile()
		if err != nil {
			return nil, err
		}
		ready.catchers = append(ready.catchers, catcher)
	}
	return ready, nil
}

// followWithoutBody keeps a body, which may hold a password, from another host.
func followWithoutBody(rule redirectRule) redirectRule {
	return func(next *http.Request, before []*http.Request) error {
		if next.Body != nil && next.Body != http.NoBody && goesAway(next, before) {
			return errors.New("redirected with its body to another host, which is not followed")
		}
		return rule(next, before)
	}
}

// request makes the request, with what was captured before.
func (s *stride) request(ctx context.Context, captured map[string]string) (*http.Request, error) {
	target := s.URL.Render(captured, escapeURL)
	body := s.Body.Render(captured, nil)
	if len(s.Form) > 0 {
		fields := url.Values{}
		for name, value := range s.Form {
			fields.Set(name, value.Render(captured, nil))
		}
		body = fields.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, s.method, target, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("its URL cannot be used with what was captured")
	}
	if _, whole := s.URL.Fixed(); !whole && hasDots(request.URL.EscapedPath()) {
		return nil, errors.New("what was captured would lead out of the path of its URL")
	}
	request.Header.Set("User-Agent", "gameday")
	if len(s.Form) > 0 {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, template := range s.header {
		value := template.Render(captured, nil)
		if !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("what was captured for the header %s holds characters that HTTP does not allow there", name)
		}
		request.Header.Set(name, value)
	}
	if s.host != "" {
		request.Host = s.host
	}
	return request, nil
}

// escapeURL makes a text a part of a path or of a query.
func escapeURL(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// hasDots tells whether a path has a part that means another: "." or "..".
func hasDots(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return part == "." || part == ".." })
}

// readsBody tells whether the text of the answer's body is needed.
func (s *stride) readsBody() bool {
	return s.expected.readsBody() || slices.ContainsFunc(s.catchers, (*catcher).readsBody)
}
