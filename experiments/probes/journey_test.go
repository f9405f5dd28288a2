package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// text makes a template: "${x}" in it is the place of a captured value.
func text(source string) experiments.Template {
	var pieces []experiments.Piece
	for {
		before, rest, found := strings.Cut(source, "${")
		pieces = append(pieces, experiments.Piece{Text: before})
		if !found {
			return experiments.NewTemplate(pieces...)
		}
		name, after, _ := strings.Cut(rest, "}")
		pieces = append(pieces, experiments.Piece{Capture: name})
		source = after
	}
}

func texts(pairs ...string) map[string]experiments.Template {
	list := map[string]experiments.Template{}
	for i := 0; i < len(pairs); i += 2 {
		list[pairs[i]] = text(pairs[i+1])
	}
	return list
}

// step makes a step with the defaults of the language.
func step(t testing.TB, name, url string, with ...func(*Step)) Step {
	t.Helper()
	s := withDefaults(t, &Step{Name: name, URL: text(url)})
	for _, change := range with {
		change(s)
	}
	return *s
}

func captures(list ...Capture) func(*Step) { return func(s *Step) { s.Captures = list } }

func newJourney(t testing.TB, steps ...Step) *Journey {
	t.Helper()
	j := withDefaults(t, &Journey{})
	j.Steps = steps
	for i := range steps {
		checkNone(t, &steps[i])
		for k := range steps[i].Captures {
			checkNone(t, &steps[i].Captures[k])
		}
	}
	checkNone(t, j)
	return j
}

func checkNone(t testing.TB, v experiments.Validator) {
	t.Helper()
	if problems := v.Validate(); len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
}

// shop is a server as a user meets one: a page with a form, a login that redirects, a
// token, and what is there for those who have it. It notes what was asked for.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func (s *shop) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, " ")
}

const shopToken = "t0ken-of-ada"

func newShop(t testing.TB) *shop {
	s := &shop{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		if cookies := r.Cookies(); len(cookies) > 0 {
			t.Errorf("a new user brings cookies: %v", cookies)
		}
		http.SetCookie(w, &http.Cookie{Name: "visit", Value: "v1", Path: "/"})
		fmt.Fprint(w, `<form><input name="csrf" value="c&amp;1+2"></form>`)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		visit, err := r.Cookie("visit")
		if err != nil || visit.Value != "v1" || r.FormValue("csrf") != "c&amp;1+2" || r.FormValue("password") != "s3cret & more" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "sess", Path: "/"})
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		if session, err := r.Cookie("session"); err != nil || session.Value != "sess" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Trace", "trace id=42;")
		fmt.Fprintf(w, `{"token":%q,"orders":[7,8],"name":"Ada \"the\" first","none":null}`, shopToken)
	})
	mux.HandleFunc("/private/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+shopToken || err != nil {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.PathValue("id"), r.URL.Query().Get("q"), body)
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+":"+r.URL.Path)
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// loggedIn is the way of a user up to her token.
func loggedIn(t testing.TB, url string) []Step {
	return []Step{
		step(t, "load the page", url+"/login", captures(Capture{Name: "csrf", Regexp: `value="([^"]+)"`})),
		step(t, "log in", url+"/login", func(s *Step) {
			s.Form = texts("csrf", "${csrf}", "password", "s3cret & more")
			s.Captures = []Capture{
				{Name: "token", JSONPath: "$.token"}, {Name: "order", JSONPath: "$.orders[1]"}, {Name: "name", JSONPath: "$.name"},
				{Name: "session", Cookie: "session"}, {Name: "trace", Header: "X-Trace", Regexp: `id=(\d+)`},
			}
		}),
	}
}

func TestAJourneyCarriesWhatItCapturedFromStepToStep(t *testing.T) {
	s := newShop(t)
	j := newJourney(t, append(loggedIn(t, s.URL), step(t, "look", s.URL+"/private/${order}?q=${name}", func(s *Step) {
		s.Headers = texts("authorization", "Bearer ${token}", "Content-Type", "application/json")
		s.Body = experiments.NewTemplate(experiments.Piece{Text: `{"name":"`}, experiments.Piece{Capture: "name", JSON: true}, experiments.Piece{Text: `","trace":`}, experiments.Piece{Capture: "trace"}, experiments.Piece{Text: "}"})
		s.BodyMatches = `^POST 8 Ada "the" first {"name":"Ada \\"the\\" first","trace":42}$`
	}))...)
	for range 3 { // each time a new user, as the server checks
		sample := measure(t, j, patience)
		expect{good: true}.check(t, sample)
		if sample.Step != "" || sample.Idle != 0 {
			t.Errorf("a journey that went well ended at %q and paused for %s", sample.Step, sample.Idle)
		}
	}
	if want := strings.TrimSuffix(strings.Repeat("GET:/login POST:/login GET:/home POST:/private/8 ", 3), " "); s.requests() != want {
		t.Errorf("asked for %s, want %s", s.requests(), want)
	}
}

func TestAJourneyEndsAtTheStepThatFails(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"token":"`+shopToken+`","list":[1],"null":null,"empty":""}`)
	})
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, shopToken, http.StatusServiceUnavailable) })
	mux.HandleFunc("/odd", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) })
	mux.HandleFunc("/latin", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("id=\xe9!")) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", longestCapture+1)) })
	mux.HandleFunc("/after", func(http.ResponseWriter, *http.Request) { t.Error("a step after the one that failed was asked") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, test := range []struct {
		name string
		path string
		with func(*Step)
		why  string
	}{
		{"a bad status", "/busy", func(*Step) {}, `step "pay": 503 Service Unavailable`},
		{"a status without a name", "/odd", func(*Step) {}, `step "pay": 599`},
		{"a body that does not match", "/ok", func(s *Step) { s.BodyMatches = "thanks" }, `step "pay": body does not match thanks`},
		{"a value that differs is not told", "/ok", func(s *Step) { s.JSONPath = "$.token"; s.JSONEquals = "x" }, `step "pay": $.token is not x`},
		{"nothing at a path", "/ok", captures(Capture{Name: "c", JSONPath: "$.x"}), `step "pay": capture "c": nothing at $.x`},
		{"a list", "/ok", captures(Capture{Name: "c", JSONPath: "$.list"}), `capture "c": $.list is a list or an object, and one text is needed`},
		{"null", "/ok", captures(Capture{Name: "c", JSONPath: "$.null"}), `capture "c": $.null is null`},
		{"an empty text", "/ok", captures(Capture{Name: "c", JSONPath: "$.empty"}), `capture "c": it is empty`},
		{"a body that is no JSON", "/latin", captures(Capture{Name: "c", JSONPath: "$.x"}), `capture "c": not JSON`},
		{"JSON that is cut off", "/ok", func(s *Step) { s.MaxBody = 5; s.Captures = []Capture{{Name: "c", JSONPath: "$.x"}} }, `capture "c": body is longer than max_body (5 bytes)`},
		{"no such header", "/ok", captures(Capture{Name: "c", Header: "X-No"}), `capture "c": the answer has no header X-No`},
		{"no such cookie", "/ok", captures(Capture{Name: "c", Cookie: "sid"}), `capture "c": there is no cookie sid`},
		{"no match", "/ok", captures(Capture{Name: "c", Regexp: "id=(.)"}), `capture "c": nothing matches id=(.)`},
		{"no match in what was read", "/ok", func(s *Step) { s.MaxBody = 5; s.Captures = []Capture{{Name: "c", Regexp: "empty"}} }, `capture "c": nothing matches empty in the first 5 bytes of the body (max_body)`},
		{"an empty match", "/ok", captures(Capture{Name: "c", Regexp: "token()"}), `capture "c": it is empty`},
		{"a text that is no UTF-8", "/latin", captures(Capture{Name: "c", Regexp: "id=(.*)!"}), `capture "c": it is not UTF-8`},
		{"a value without end", "/long", captures(Capture{Name: "c", Regexp: "x+"}), `capture "c": it is longer than 16384 bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			sample := measure(t, newJourney(t,
				step(t, "look", server.URL+"/ok", captures(Capture{Name: "token", JSONPath: "$.token"})),
				step(t, "pay", server.URL+test.path, test.with),
				step(t, "thank", server.URL+"/after"),
			), patience)
			expect{why: test.why}.check(t, sample)
			if sample.Step != "pay" {
				t.Errorf("it ended at %q, want pay", sample.Step)
			}
			if strings.Contains(sample.Why, shopToken) {
				t.Errorf("the token is shown: %s", sample.Why)
			}
		})
	}
}

// TestWhatServersSayCannotChangeARequest captures values that would, and looks at what
// arrives.
func TestWhatServersSayCannotChangeARequest(t *testing.T) {
	type arrived struct {
		Path, Query, Body string
		Header            http.Header
	}
	var hostile string
	var mu sync.Mutex
	var last *arrived
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(map[string]string{"token": hostile}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		last = &arrived{r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Header}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, test := range []struct {
		name    string
		hostile string
		url     string
		with    func(*Step)
		why     string // where the step is not taken
		check   func(*arrived) bool
	}{
		{"a line break in a header", "x\r\nX-Admin: yes", "/use", func(s *Step) { s.Headers = texts("X-Token", "a ${token}") },
			`step "use": what was captured for the header X-Token holds characters that HTTP does not allow there`, nil},
		{"a bare newline in a header", "x\n y", "/use", func(s *Step) { s.Headers = texts("X-Token", "${token}") }, "HTTP does not allow there", nil},
		{"a NUL in a header", "x\x00", "/use", func(s *Step) { s.Headers = texts("X-Token", "${token}") }, "HTTP does not allow there", nil},
		{"a path within a path", "../admin?x=1#y", "/use/${token}/z", nil, "", func(a *arrived) bool { return a.Path == "/use/..%2Fadmin%3Fx%3D1%23y/z" && a.Query == "" }},
		{"a path that leads upwards", "..", "/use/${token}/admin", nil, "what was captured would lead out of the path of its URL", nil},
		{"a path that leads nowhere", ".", "/use/${token}", nil, "would lead out of the path", nil},
		{"another parameter", "1&admin=1 +", "/use?q=${token}", nil, "", func(a *arrived) bool { return a.Query == "q=1%26admin%3D1%20%2B" }},
		{"a line break in a URL", "1 HTTP/1.1\r\nHost: evil", "/use?q=${token}", nil, "", func(a *arrived) bool { return a.Query == "q=1%20HTTP%2F1.1%0D%0AHost%3A%20evil" }},
		{"another host", "@evil.example/", "/${token}", nil, "", func(a *arrived) bool { return a.Path == "/%40evil.example%2F" }},
		{"another field of a form", "1&admin=1", "/use", func(s *Step) { s.Form = texts("q", "${token}", "a", "b") }, "", func(a *arrived) bool {
			form, err := url.ParseQuery(a.Body)
			return err == nil && len(form) == 2 && form.Get("q") == "1&admin=1"
		}},
		{"another key of JSON", `x","admin":true,"y":"`, "/use", func(s *Step) {
			s.Body = experiments.NewTemplate(experiments.Piece{Text: `{"q":"`}, experiments.Piece{Capture: "token", JSON: true}, experiments.Piece{Text: `"}`})
		}, "", func(a *arrived) bool {
			var object map[string]any
			return json.Unmarshal([]byte(a.Body), &object) == nil && len(object) == 1 && object["q"] == `x","admin":true,"y":"`
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			mu.Lock()
			hostile, last = test.hostile, nil
			mu.Unlock()
			with := test.with
			if with == nil {
				with = func(*Step) {}
			}
			sample := measure(t, newJourney(t,
				step(t, "ask", server.URL+"/token", captures(Capture{Name: "token", JSONPath: "$.token"})),
				step(t, "use", server.URL+test.url, with),
			), patience)
			expect{good: test.why == "", why: test.why}.check(t, sample)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case test.why != "" && last != nil:
				t.Errorf("the request was sent: %+v", *last)
			case test.why == "" && (last == nil || !test.check(last)):
				t.Errorf("what arrived is %+v", last)
			}
		})
	}
}

func TestNothingCapturedIsInAnyWord(t *testing.T) {
	const token = "very-secret-token-4711"
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), token) {
				t.Errorf("another host was sent %s: %v", name, values)
			}
		}
		if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 {
			t.Errorf("another host was sent a body: %s (%v)", body, err)
		}
	}))
	t.Cleanup(far.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"token":%q}`, token) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		// A reason phrase of the server's own takes writing the answer by hand.
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 403 no %s\r\nContent-Length: 0\r\n\r\n", r.URL.Query().Get("t"))
		_ = conn.Close()
	})
	mux.HandleFunc("/malformed", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "%s\r\n\r\n", r.URL.Query().Get("t"))
		_ = conn.Close()
	})
	mux.HandleFunc("/nowhere", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://[::"+r.URL.Query().Get("t"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, far.URL, http.StatusFound) })
	mux.HandleFunc("/carry", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, far.URL, http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"you":"sent %s"}`, r.URL.Query().Get("t"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, test := range []struct {
		name, url string
		with      func(*Step)
		why       string // empty: it is good
	}{
		{"a server that says it in its status", "/echo?t=${token}", nil, `step "use": 403 Forbidden`},
		{"an answer that is none", "/malformed?t=${token}", nil, "malformed HTTP response (not shown)"},
		{"a redirect to nowhere", "/nowhere?t=${token}", nil, "failed to parse Location header (not shown)"},
		{"a value in the body", "/json?t=${token}", func(s *Step) { s.JSONPath = "$.you"; s.JSONEquals = "thanks" }, "$.you is not thanks"},
		{"a host that is not there", "/token", func(s *Step) { s.URL = text("http://127.0.0.1:1/${token}") }, "connection refused"},
		{"a redirect to another host", "/away?t=${token}", func(s *Step) { s.Headers = texts("X-Token", "${token}") }, ""},
		{"a redirect that carries a form", "/carry", func(s *Step) { s.Form = texts("t", "${token}") }, "redirected with its body to another host, which is not followed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			with := test.with
			if with == nil {
				with = func(*Step) {}
			}
			j := newJourney(t, step(t, "ask", server.URL+"/token", captures(Capture{Name: "token", JSONPath: "$.token"})), step(t, "use", server.URL+test.url, with))
			sample := measure(t, j, patience)
			expect{good: test.why == "", why: test.why}.check(t, sample)
			stored, err := json.Marshal(sample)
			if err != nil || strings.Contains(string(stored), token) {
				t.Errorf("the token is in the sample: %s (%v)", stored, err)
			}
			if printed := fmt.Sprintf("%v %+v %#v", j.Steps[1].URL, j.Steps[1].Headers, j.Steps[1].Form); strings.Contains(printed, "http://") {
				t.Errorf("a template prints what it holds: %s", printed)
			}
		})
	}
}

func TestPausesAreNoPartOfTheDurationOfAJourney(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	const pause = 50 * time.Millisecond
	thinking := func(s *Step) { s.Pause = pause }
	j := newJourney(t, step(t, "one", server.URL), step(t, "two", server.URL, thinking), step(t, "three", server.URL, thinking))
	if j.Pauses() != 2*pause {
		t.Errorf("it pauses for %s, want %s", j.Pauses(), 2*pause)
	}
	before := time.Now()
	sample := measure(t, j, patience)
	whole := time.Since(before)
	expect{good: true}.check(t, sample)
	if sample.Idle < 2*pause || sample.Took+sample.Idle > whole {
		t.Errorf("took %s, paused %s, of %s together", sample.Took, sample.Idle, whole)
	}
}

func TestAJourneyEndsInTime(t *testing.T) {
	begun := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			begun <- struct{}{}
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	slow := newJourney(t, step(t, "look", server.URL), step(t, "pay", server.URL+"/hang"))
	t.Run("a step that hangs is a bad event", func(t *testing.T) {
		sample := measure(t, slow, 200*time.Millisecond)
		expect{why: `step "pay": no answer within 200ms`}.check(t, sample)
		<-begun
	})
	t.Run("a pause beyond the timeout is one too", func(t *testing.T) {
		sample := measure(t, newJourney(t, step(t, "look", server.URL), step(t, "pay", server.URL, func(s *Step) { s.Pause = time.Hour })), 200*time.Millisecond)
		expect{why: `step "pay": not reached within 200ms`}.check(t, sample)
		if sample.Step != "pay" {
			t.Errorf("it ended at %q", sample.Step)
		}
	})
	t.Run("a run that ends says nothing about the system", func(t *testing.T) {
		expect{condition: experiments.Broken, why: "cancelled"}.check(t, cancelSoon(t, slow, begun))
	})
	t.Run("nor does one that ends in a pause", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		paused := newJourney(t, step(t, "look", server.URL+"/hang"), step(t, "pay", server.URL, func(s *Step) { s.Pause = time.Hour }))
		paused.Steps[0].URL = text(server.URL)
		go func() { time.Sleep(20 * time.Millisecond); cancel() }()
		expect{condition: experiments.Broken, why: "cancelled"}.check(t, paused.Measure(ctx))
	})
}

func TestAJourneyIsMeasuredWhileEarlierOnesGoOn(t *testing.T) {
	s := newShop(t)
	j := newJourney(t, loggedIn(t, s.URL)...)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { expect{good: true}.check(t, measure(t, j, patience)) })
	}
	wait.Wait()
}

func TestAJourneyThatCannotBeTakenIsNoEvent(t *testing.T) {
	for name, j := range map[string]*Journey{
		"no step":               withDefaults(t, &Journey{}),
		"a step without URL":    {Steps: []Step{*withDefaults(t, &Step{Name: "x"})}},
		"a host for the taking": {Steps: []Step{*withDefaults(t, &Step{Name: "x", URL: text("http://${host}/")})}},
	} {
		t.Run(name, func(t *testing.T) {
			sample := measure(t, j, patience)
			if sample.Condition != experiments.Broken || sample.Counted || sample.Why == "" || !math.IsNaN(sample.Value) {
				t.Errorf("sample: %+v", sample)
			}
		})
	}
}

func TestAStepSaysWhatIsWrongWithIt(t *testing.T) {
	for _, test := range []struct {
		name string
		step *Step
		want []problem
	}{
		{"what is not known yet is no problem", withDefaults(t, &Step{}), nil},
		{"a whole step is fine", &Step{URL: text("http://shop/${a}?q=${b}"), Method: "PATCH", Headers: texts("Host", "shop", "X", "${a}"), Expect: Expect{Status: []string{"2xx"}}}, nil},
		{"a query right behind the host is fine", &Step{URL: text("http://shop?q=${b}")}, nil},
		{"a URL from a server", &Step{URL: text("${next}")}, []problem{{"url", "begin the URL with a fixed host"}}},
		{"a host from a server", &Step{URL: text("http://${host}/")}, []problem{{"url", "names no host"}}},
		{"a host that a server ends", &Step{URL: text("http://shop.example${tail}")}, []problem{{"url", `write a "/" between them`}}},
		{"a port from a server", &Step{URL: text("http://shop:${port}/")}, []problem{{"url", `write a "/" between them`}}},
		{"a Host from a server", &Step{URL: text("http://shop/"), Headers: texts("host", "${h}")}, []problem{{"headers", "write the Host out"}}},
		{"every problem at once", &Step{
			URL: text("shop"), Method: "GET /", Headers: texts("a b", "x", "ok", "x\ny"), Body: text("x"), Form: texts("a", "b"), MaxBody: -1, Pause: -1,
			Expect: Expect{Status: []string{"good"}}, Captures: []Capture{{Name: "a"}, {Name: "a"}},
		}, []problem{
			{"url", "http://host:port/path"}, {"method", "not an HTTP method"}, {"headers", `"a b"`}, {"headers", `"ok"`}, {"form", "keep body or form"}, {"status", `"good"`},
			{"max_body", "0 or more"}, {"pause", "0s or longer"}, {"capture", `captures "a" twice`},
		}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.step, test.want) })
	}
	for _, test := range []struct {
		name    string
		capture *Capture
		want    []problem
	}{
		{"a regexp alone searches the body", &Capture{Regexp: "a(b)"}, nil},
		{"a regexp may search a header", &Capture{Header: "Location", Regexp: "/orders/(.*)"}, nil},
		{"nothing", &Capture{}, []problem{{"", "say where the value is"}}},
		{"two places", &Capture{Header: "X", Cookie: "y"}, []problem{{"", "keep one of"}}},
		{"every problem at once", &Capture{JSONPath: "$[", Header: "a b", Cookie: "c d", Regexp: "("}, []problem{
			{"", "keep one of"}, {"json_path", "$["}, {"header", `"a b"`}, {"cookie", `"c d"`}, {"regexp", "missing closing )"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.capture, test.want) })
	}
	checkProblems(t, &Journey{}, []problem{{"", "add step"}})
}
