package notify

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gameday-sh/gameday/experiments"
)

// hostile is what a person, a pod or a log may be called.
const hostile = "<!channel> & <script>alert(1)</script> *bold* @here \x1b[31m\r\nBcc: all@example.org\r\n\r\nbody"

// planted is a secret that must reach nobody.
const planted = "planted-secret-7"

var start = time.Date(2026, 11, 24, 15, 30, 0, 0, time.UTC)

// events is a run that a guard stopped, from its beginning until everything is mended.
func events() []experiments.Event {
	hit := func(seconds int, id string, step experiments.Step, whole *experiments.Hit) experiments.Event {
		return experiments.Event{At: start.Add(time.Duration(seconds) * time.Second), Type: experiments.EventHit, Hit: &experiments.HitEvent{ID: id, Step: step, Hit: whole}}
	}
	phase := func(seconds int, phase experiments.Phase) experiments.Event {
		return experiments.Event{At: start.Add(time.Duration(seconds) * time.Second), Type: experiments.EventPhase, Phase: phase}
	}
	return []experiments.Event{
		{At: start, Type: experiments.EventBegin, Begin: &experiments.Begin{Run: "20261124-153000-slow-7f3a", Scenario: "slow", Host: "runner", Version: "devel", Seed: 7}},
		phase(0, experiments.PhaseCheck), phase(1, experiments.PhaseBaseline),
		{At: start, Type: experiments.EventSample, Series: "probe.door", Sample: &experiments.Sample{Counted: true, Good: true}},
		{At: start, Type: experiments.EventSample, Series: "probe.door", Sample: &experiments.Sample{Condition: experiments.NoData}},
		phase(2, experiments.PhaseDisrupt),
		hit(2, "late.1", experiments.Planned, &experiments.Hit{ID: "late.1", Fault: "late", Kind: "toxiproxy_latency", Target: hostile}),
		hit(3, "late.1", experiments.Intended, nil), hit(4, "late.1", experiments.Injected, nil),
		{At: start.Add(5 * time.Second), Type: experiments.EventGuard, Name: "page", Guard: &experiments.Reading{Used: 1.5}},
		{At: start.Add(6 * time.Second), Type: experiments.EventStop, Stop: &experiments.Stop{Cause: "guard page: " + hostile + " " + planted, Guard: "page", Breach: start.Add(6 * time.Second)}},
		phase(6, experiments.PhaseRevert), hit(7, "late.1", experiments.Verified, nil),
		phase(8, experiments.PhaseRecover), phase(9, experiments.PhaseReport),
	}
}

// result is how that run ended.
func result() *experiments.Result {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	return &experiments.Result{
		Schema: experiments.ResultSchema, Run: "20261124-153000-slow-7f3a", Scenario: "slow", Description: hostile, Host: "runner", Version: "devel", Seed: 7,
		Began: at(0), Ended: at(10), Verdict: experiments.Aborted, Reason: "guard page: " + hostile + " " + planted,
		Phases: []experiments.PhaseSpan{{Phase: experiments.PhaseBaseline, From: at(1), To: at(2)}, {Phase: experiments.PhaseDisrupt, From: at(2), To: at(6)}, {Phase: experiments.PhaseRevert, From: at(6), To: at(8)}},
		Faults: []experiments.FaultResult{{Name: "late", Kind: "toxiproxy_latency", Hits: 1, Injected: 1, Restored: 1}},
		Hits: []experiments.HitResult{{
			Hit:  experiments.Hit{ID: "late.1", Fault: "late", Kind: "toxiproxy_latency", Target: hostile + " " + planted, Effect: "late", Lasts: time.Minute, Round: 1},
			Step: experiments.Verified, Injected: at(4), Verified: at(7),
			Steps: []experiments.StepTime{{Step: experiments.Planned, At: at(2)}, {Step: experiments.Intended, At: at(3)}, {Step: experiments.Injected, At: at(4)}, {Step: experiments.Verified, At: at(7)}},
		}},
		Stop: &experiments.Stop{Cause: "guard page: " + hostile + " " + planted, Guard: "page", Breach: at(6), Restored: at(7)},
	}
}

// redacted takes the planted secret out.
func redacted(text string) string { return strings.ReplaceAll(text, planted, "(secret)") }

// plan is a receiver as a scenario declares it.
func plan(name, kind string, receiver experiments.Receiver) *experiments.ReceiverPlan {
	return &experiments.ReceiverPlan{Name: name, Kind: kind, Receiver: receiver, Timeout: 5 * time.Second, RetryWithin: 5 * time.Second}
}

// tell has receivers told of the whole run, and gives what came of it.
func tell(t *testing.T, plans ...*experiments.ReceiverPlan) []experiments.Notification {
	t.Helper()
	d := New(t.Context(), plans, Options{Description: hostile, Redact: redacted, Page: func(w io.Writer, r *experiments.Result) error {
		_, err := io.WriteString(w, "<html>the report of "+r.Run+"</html>")
		return err
	}})
	for _, event := range events() {
		d.Watch(event)
	}
	return d.End(t.Context(), result(), experiments.MomentEnd)
}

// sent checks that everything was delivered, and gives the moments.
func sent(t *testing.T, list []experiments.Notification) string {
	t.Helper()
	var moments []string
	for _, n := range list {
		if n.State != experiments.DeliverySent || n.Error != "" {
			t.Errorf("%+v", n)
		}
		moments = append(moments, n.Moment)
	}
	return strings.Join(moments, " ")
}

// received is a request that a server took in.
type received struct {
	method, path string
	header       http.Header
	body         []byte
}

// server keeps what it is sent, and answers as answer says.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func newServer(t *testing.T, answer func(w http.ResponseWriter, nth int)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.handler(answer))
	t.Cleanup(s.Close)
	return s
}

func (s *server) handler(answer func(w http.ResponseWriter, nth int)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, received{r.Method, r.URL.Path, r.Header.Clone(), body})
		nth := len(s.got)
		s.mu.Unlock()
		answer(w, nth)
	})
}

func (s *server) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

// says answers everything with a status and a text.
func says(code int, text string) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, _ int) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// fits checks JSON against a schema.
func fits(t *testing.T, schema string, body []byte) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if err := compiled.Validate(value); err != nil {
		t.Errorf("%v in %s", err, body)
	}
}

func TestMomentsAndVerdictsChooseWhatIsTold(t *testing.T) {
	end := func(v experiments.Verdict) *experiments.Notice {
		return &experiments.Notice{Moment: experiments.MomentEnd, Verdict: v, Result: &experiments.Result{}}
	}
	for _, test := range []struct {
		name   string
		on     []string
		notice *experiments.Notice
		want   bool
	}{
		{"a moment that is named", []string{"begin"}, &experiments.Notice{Moment: "begin"}, true},
		{"a moment that is not", []string{"abort", "end"}, &experiments.Notice{Moment: "begin"}, false},
		{"an end with a verdict that is named", []string{"refuted"}, end(experiments.Refuted), true},
		{"an end with another", []string{"refuted"}, end(experiments.Held), false},
		{"a verdict of two words", []string{"not restored"}, end(experiments.NotRestored), true},
		{"nothing named is never", nil, end(experiments.NotRestored), false},
		{"mended in a run is not for who waits for the end", []string{"end"}, &experiments.Notice{Moment: "mended"}, false},
		{"mended after the end is", []string{"end"}, &experiments.Notice{Moment: "mended", Result: &experiments.Result{}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := wants(test.on, test.notice); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestAnIncidentOpensOnceAndIsResolvedAtTheEnd(t *testing.T) {
	on := []string{"abort", "not restored"}
	whole := &experiments.Result{}
	for _, test := range []struct {
		name   string
		notice *experiments.Notice
		want   step
	}{
		{"an abort opens it", &experiments.Notice{Moment: "abort"}, open},
		{"mending acknowledges it", &experiments.Notice{Moment: "mended", Open: true}, acknowledge},
		{"the end resolves it", &experiments.Notice{Moment: "end", Verdict: experiments.Aborted, Open: true, Result: whole}, resolve},
		{"what is left keeps it open", &experiments.Notice{Moment: "end", Verdict: experiments.NotRestored, Open: true, Result: whole}, open},
		{"mending after the end resolves it", &experiments.Notice{Moment: "mended", Open: true, Result: whole}, resolve},
		{"without one there is nothing to do at the end", &experiments.Notice{Moment: "end", Verdict: experiments.Held, Result: whole}, nothing},
		{"nor when all is mended", &experiments.Notice{Moment: "mended"}, nothing},
		{"nor at the beginning", &experiments.Notice{Moment: "begin"}, nothing},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := stepFor(on, test.notice); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}
