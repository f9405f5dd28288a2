package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gameday-sh/gameday/experiments"
)

// inbox is an HTTP server that takes whatever it is sent, as the APIs of all receivers
// answer, and keeps it.
type inbox struct {
	*httptest.Server
	mu  sync.Mutex
	got []string // path and body
}

// newInbox calls on, if it is set, with each request before it is answered.
func newInbox(t *testing.T, on func(body string)) *inbox {
	t.Helper()
	b := &inbox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.got = append(b.got, r.URL.Path+" "+string(body))
		b.mu.Unlock()
		if on != nil {
			on(string(body))
		}
		_, _ = io.WriteString(w, `{"status":"success","id":1}`)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *inbox) all() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.got, "\n")
}

// post is a mail server.
type post struct {
	mu   sync.Mutex
	mail []string
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (p *post) Mail(string, *smtp.MailOptions) error        { return nil }
func (p *post) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (p *post) Reset()                                      {}
func (p *post) Logout() error                               { return nil }
func (p *post) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mail = append(p.mail, string(text))
	return err
}

func newPost(t *testing.T) (*post, string) {
	t.Helper()
	p := &post{}
	server := smtp.NewServer(p)
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		err := server.Close()
		if serving := <-served; err != nil || serving != nil && !errors.Is(serving, smtp.ErrServerClosed) && !errors.Is(serving, net.ErrClosed) {
			t.Error(err, serving)
		}
	})
	return p, listener.Addr().String()
}

// notifyWorld is a receiver of each kind.
func notifyWorld(t *testing.T) ([]string, func(string)) {
	all := newInbox(t, nil)
	mail, address := newPost(t)
	return []string{
			"--var", "webhook_url=" + all.URL + "/hook", "--var", "slack_webhook=" + all.URL + "/slack", "--var", "receivers=" + all.URL,
			"--var", "alertmanager_url=" + all.URL, "--var", "pushgateway_url=" + all.URL, "--var", "mail_server=" + address, "--var", "metrics_listen=127.0.0.1:0",
		}, func(output string) {
			got := all.all()
			for path, want := range map[string]int{"/hook {": 8, "/slack {": 1, "/api/annotations {": 1, "/v1/traces {": 1, "/metrics/job/gameday/scenario/everybody ": 1, "/v2/enqueue": 0, "/api/v2/alerts": 0} {
				if count := strings.Count(got, path); count != want {
					t.Errorf("%d requests to %s, want %d:\n%s", count, path, want, got)
				}
			}
			mail.mu.Lock()
			defer mail.mu.Unlock()
			if len(mail.mail) != 1 || !strings.Contains(mail.mail[0], "Subject: [gameday] everybody: HELD") || !strings.Contains(mail.mail[0], ".html") {
				t.Errorf("mail: %q", mail.mail)
			}
			if strings.Contains(output, "not told") {
				t.Errorf("somebody was not told:\n%s", output)
			}
		}
}

// told is worldScenario with receivers.
func (w *world) told(blocks string) {
	w.t.Helper()
	write(w.t, w.scenario, worldScenario+blocks)
}

func resultOf(t *testing.T, home string) *experiments.Result {
	t.Helper()
	result, err := loadResult(filepath.Join(runDir(t, home), "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestReceiversThatFailChangeNeitherVerdictNorMending has all that can go wrong with
// receivers go wrong at once. One of them hangs from the moment of the abort until the
// system is mended: if mending waited for it, it would hang for its whole minute.
func TestReceiversThatFailChangeNeitherVerdictNorMending(t *testing.T) {
	slow(t)
	w := newWorld(t)
	var mendedMeanwhile sync.Map
	hanging := newInbox(t, func(body string) {
		if !strings.Contains(body, `"moment":"abort"`) {
			return
		}
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			answer, err := http.Get(w.toxiproxy + "/proxies")
			if err != nil {
				continue
			}
			text, err := io.ReadAll(answer.Body)
			if errors.Join(err, answer.Body.Close()) == nil && !bytes.Contains(text, []byte(`"latency":10`)) {
				mendedMeanwhile.Store("yes", true)
				return
			}
		}
	})
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer broken.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	w.told(`
notify "webhook" "hangs" {
  url     = "` + hanging.URL + `"
  on      = ["abort"]
  timeout = "1m"
}
notify "webhook" "breaks" { url = "` + broken.URL + `" }
notify "slack" "refuses" { url = "http://` + refused + `/services/T/B/sesame-1234" }
notify "pagerduty" "nowhere" {
  url         = "https://events.invalid/v2/enqueue"
  routing_key = "0123456789abcdef0123456789abcdef"
}
notify "smtp" "silent" {
  server     = "` + silent.Addr().String() + `"
  from       = "a@example.org"
  to         = ["b@example.org"]
  encryption = "none"
  timeout    = "1s"
}
`)
	run := w.run()
	w.broken()
	run.signal(syscall.SIGINT)
	run.ends(time.Minute, 3, "ABORTED",
		`notify\.breaks \(webhook\) was not told of .*the end of \S+: POST to \S+ was answered with 500`,
		`notify\.refuses \(slack\) was not told of .*the abort.* of \S+: .*connection refused`,
		`notify\.nowhere \(pagerduty\) was not told of .*the abort`, `notify\.silent \(smtp\) was not told of .*the end`)
	w.mended()
	if _, yes := mendedMeanwhile.Load("yes"); !yes {
		t.Error("nothing was mended while a receiver hung")
	}
	if strings.Contains(run.said.String(), "sesame-1234") || strings.Contains(run.said.String(), "0123456789abcdef") {
		t.Errorf("a secret is on the screen:\n%s", run.said.String())
	}
	result := resultOf(t, w.home)
	if result.Verdict != experiments.Aborted || len(result.Errors) > 0 || len(result.Notifications) < 8 {
		t.Errorf("%s %q %+v", result.Verdict, result.Errors, result.Notifications)
	}
	report := read(t, filepath.Join(runDir(t, w.home), "report.md"))
	if !strings.Contains(report, "## Who was told") || !strings.Contains(report, "**not told**<br>POST to") {
		t.Errorf("the report does not name who was not told:\n%s", report)
	}
}

// TestSecretsOfReceiversReachNoFile looks for them, in any form, in everything that a run
// leaves, and in what was sent to others.
func TestSecretsOfReceiversReachNoFile(t *testing.T) {
	t.Parallel()
	const token, key, password = "s3same/open+you=", "fedcba9876543210fedcba9876543210", "pa55 word&more"
	program, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	all := newInbox(t, nil)
	w.told(`
variable "hook" { sensitive = true }
variable "key" { sensitive = true }
notify "slack" "team" { url = var.hook }
notify "pagerduty" "on-call" {
  url         = "` + all.URL + `/v2/enqueue"
  routing_key = var.key
  on          = ["abort"]
}
notify "smtp" "mail" {
  server   = "127.0.0.1:1"
  from     = "a@example.org"
  to       = ["b@example.org"]
  username = "gameday"
  password = env("MAIL_PASSWORD")
}
notify "webhook" "hook" {
  url            = "` + all.URL + `/hook"
  headers        = { Authorization = "Bearer ${env("MAIL_PASSWORD")}" }
  signing_secret = env("MAIL_PASSWORD")
}
`)
	w.last = launch(t, "/usr/bin/env", "MAIL_PASSWORD="+password, program, "run", "--state", w.home, "--var", "front="+w.front, "--var", "toxiproxy="+w.toxiproxy,
		"--var", "hook="+all.URL+"/services/"+token, "--var", "key="+key, w.scenario)
	run := w.last
	w.broken()
	run.signal(syscall.SIGINT)
	run.ends(time.Minute, 3)
	w.quiet()
	if got := all.all(); !strings.Contains(got, "/services/"+token) || !strings.Contains(got, `"routing_key":"`+key) || !strings.Contains(got, "/hook {") {
		t.Fatalf("nobody was told: %s", got)
	}
	texts := map[string]string{"the screen": run.said.String()}
	err = filepath.WalkDir(w.home, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			text, reading := os.ReadFile(path)
			texts[path], err = string(text), reading
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, sent := range strings.Split(all.all(), "\n") {
		_, body, _ := strings.Cut(sent, " ")
		texts["request "+string(rune('0'+i))] = strings.ReplaceAll(body, `"routing_key":"`+key, "")
	}
	for name, text := range texts {
		for _, secret := range []string{token, key, password} {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q", name, form)
				}
			}
		}
	}
}

// onCall is worldScenario that pages as soon as something is broken.
func (w *world) onCall(pager string) {
	w.told(`
variable "key" { sensitive = true }
notify "pagerduty" "on-call" {
  url         = "` + pager + `/v2/enqueue"
  routing_key = var.key
  on          = ["inject"]
}
`)
}

const pagerKey = "key=0123456789abcdef0123456789abcdef"

func actionsOf(b *inbox) string {
	var list []string
	for line := range strings.Lines(b.all()) {
		var event struct {
			Action string `json:"event_action"`
			Key    string `json:"routing_key"`
		}
		_, body, _ := strings.Cut(line, " ")
		if json.Unmarshal([]byte(body), &event) == nil && "key="+event.Key == pagerKey {
			list = append(list, event.Action)
		}
	}
	return strings.Join(list, " ")
}

// TestTheWatchdogResolvesTheIncidentOfADeadRun kills the runner while its incident is
// open. The key was given on the command line, and stands in no file.
func TestTheWatchdogResolvesTheIncidentOfADeadRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pager := newInbox(t, nil)
	w.onCall(pager.URL)
	run := w.run("--var", pagerKey)
	w.broken()
	poll(t, pager.all, func() bool { return actionsOf(pager) == "trigger" })
	run.signal(syscall.SIGKILL)
	w.mends()
	w.quiet()
	if got := actionsOf(pager); got != "trigger resolve" {
		t.Errorf("PagerDuty was told: %s\n%s", got, read(t, filepath.Join(runDir(t, w.home), "watchdog.log")))
	}
	result := resultOf(t, w.home)
	if open := experiments.OpenIncidents(result.Notifications); len(open) > 0 || len(result.Notifications) == 0 || result.Verdict != experiments.Errored {
		t.Errorf("%s %+v", result.Verdict, result.Notifications)
	}
	gameday(t, w.home, "recover").ends(20*time.Second, 0, "nothing to recover")
}

// TestRecoverTellsOfTheIncidentOfADeadRun kills the watchdog too. Without the key the
// incident cannot be resolved, and is named; with it, it is.
func TestRecoverTellsOfTheIncidentOfADeadRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		flags   []string
		says    string
		actions string
		open    int
	}{
		{"without its key", nil, `OPEN    notify\.on-call \(pagerduty\): gameday/\S+ may be open, and cannot be closed from here: .*\(attack\.hcl:32: .*var\.key has no default`, "trigger", 1},
		{"with its key", []string{"--var", pagerKey}, `told    notify\.on-call \(pagerduty\) of the end`, "trigger resolve", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			pager := newInbox(t, nil)
			w.onCall(pager.URL)
			run := w.run("--var", pagerKey)
			w.broken()
			poll(t, pager.all, func() bool { return actionsOf(pager) == "trigger" })
			watchdog := watchdogOf(t, w.home)
			stopped(t, watchdog)
			run.signal(syscall.SIGKILL)
			run.wait(20 * time.Second)
			if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			w.stillBroken()
			gameday(t, w.home, append([]string{"recover"}, test.flags...)...).ends(30*time.Second, 0, "mended", test.says)
			w.mended()
			if got := actionsOf(pager); got != test.actions {
				t.Errorf("PagerDuty was told: %s", got)
			}
			if open := experiments.OpenIncidents(resultOf(t, w.home).Notifications); len(open) != test.open {
				t.Errorf("open in the result: %+v", open)
			}
		})
	}
}

func TestPlanAndValidateTellNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := newInbox(t, nil)
	w.told("notify \"webhook\" \"hook\" {\n  url = \"" + all.URL + "\"\n}\nnotify \"metrics\" \"scraped\" {\n  listen = \"127.0.0.1:0\"\n}\n")
	for _, command := range []string{"plan", "validate"} {
		gameday(t, w.home, command, "--var", "front="+w.front, "--var", "toxiproxy="+w.toxiproxy, w.scenario).ends(20*time.Second, 0)
	}
	if got := all.all(); got != "" {
		t.Errorf("somebody was told: %s", got)
	}
}

// TestWhatIsMendedAfterTheEndIsToldToo has a run end while the server that would have to
// be mended hangs. The watchdog mends it later.
func TestWhatIsMendedAfterTheEndIsToldToo(t *testing.T) {
	slow(t)
	w := newWorld(t)
	pager := newInbox(t, nil)
	w.onCall(pager.URL)
	write(t, w.scenario, strings.Replace(read(t, w.scenario), `["inject"]`, `["not restored"]`, 1))
	run := w.run("--var", pagerKey, "--var", "revert_within=1s")
	w.broken()
	resume := stopped(t, w.server.Pid)
	run.signal(syscall.SIGINT)
	run.ends(time.Minute, 6, "NOT RESTORED")
	if got := actionsOf(pager); got != "trigger" {
		t.Errorf("at the end PagerDuty was told: %s", got)
	}
	resume()
	w.mends()
	w.quiet()
	if got := actionsOf(pager); got != "trigger resolve" {
		t.Errorf("afterwards PagerDuty was told: %s\n%s", got, read(t, filepath.Join(runDir(t, w.home), "watchdog.log")))
	}
	result := resultOf(t, w.home)
	if result.Verdict != experiments.NotRestored || result.Recovered.IsZero() || len(experiments.OpenIncidents(result.Notifications)) > 0 {
		t.Errorf("%s %+v", result.Verdict, result.Notifications)
	}
}
