package prom

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

const one = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"42"]}]}}`

func dial(t *testing.T, p *Prometheus) *Prometheus {
	t.Helper()
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAHostileServerEndsInACondition(t *testing.T) {
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const js = "application/json"
	for name, test := range map[string]struct {
		handler   http.HandlerFunc
		condition experiments.Condition
		want      string
	}{
		"a web page with 200":      {text(200, "text/html", "<html>\x1b[31m\nlog in</html>"), experiments.Refused, "answered 200 OK with text/html that is not of the Prometheus API"},
		"truncated JSON":           {text(200, js, one[:40]), experiments.Refused, "not of the Prometheus API"},
		"an empty body":            {text(200, js, ""), experiments.Refused, "not of the Prometheus API"},
		"null":                     {text(200, js, "null"), experiments.Refused, `its status is ""`},
		"a wrong type":             {text(200, js, `{"status":"success","data":{"resultType":"vector","result":{"a":1}}}`), experiments.Refused, "not a list"},
		"no result":                {text(200, js, `{"status":"success","data":{"resultType":"vector"}}`), experiments.Refused, "not a list"},
		"a number as number":       {text(200, js, strings.Replace(one, `"42"`, `42`, 1)), experiments.Refused, "cannot unmarshal number"},
		"a word as number":         {text(200, js, strings.Replace(one, `"42"`, `"many"`, 1)), experiments.Refused, `parsing "many"`},
		"a sample of one part":     {text(200, js, strings.Replace(one, `[1.5,"42"]`, `[1.5]`, 1)), experiments.Refused, "not a pair"},
		"a sample without value":   {text(200, js, strings.Replace(one, `,"value":[1.5,"42"]`, ``, 1)), experiments.Refused, "not a pair"},
		"an unknown result type":   {text(200, js, strings.Replace(one, "vector", "tensor", 1)), experiments.Refused, `result type is "tensor"`},
		"success with 500":         {text(500, js, one), experiments.Refused, "answered 500"},
		"an error of the API":      {text(422, js, `{"status":"error","errorType":"execution","error":"many-to-many matching"}`), experiments.Refused, "execution: many-to-many matching"},
		"a timeout of the API":     {text(503, js, `{"status":"error","errorType":"timeout","error":"query timed out"}`), experiments.Unreachable, "could not answer in time"},
		"no rights":                {text(403, "text/plain", "RBAC: access denied"), experiments.Refused, "403 Forbidden: RBAC: access denied"},
		"a gateway without server": {text(502, "text/html", "<h1>Bad Gateway</h1>"), experiments.Unreachable, "502 Bad Gateway"},
		"a hang before the answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, experiments.Unreachable, "did not answer in time (timeout 200ms)"},
		"a hang within the answer": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, one[:20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, experiments.Unreachable, "did not answer in time (timeout 200ms)"},
		"a reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, experiments.Unreachable, "cannot be reached: EOF"},
		"another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/api/v1/query?token=geheim", http.StatusTemporaryRedirect)
		}, experiments.Unreachable, "redirects to http://127.0.0.2:1/api/v1/query; credentials are not sent to another server"},
		"a redirect that drops the query": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, experiments.Unreachable, "drops the query"},
		"a circle": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/api/v1/query", http.StatusPermanentRedirect)
		}, experiments.Unreachable, "in circles"},
		"an echo of the secrets": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, fmt.Sprint("bad header ", r.Header), http.StatusUnauthorized)
		}, experiments.Refused, "(secret)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, &Prometheus{
				URL: serve(t, test.handler), Timeout: 200 * time.Millisecond,
				BearerToken: experiments.NewSecret("geheim-token"),
				Headers:     map[string]experiments.Secret{"X-Key": experiments.NewSecret("geheim-key")},
			})
			_, err := p.Query(t.Context(), "up", now)
			condition, words := conditionOf(err)
			if err == nil || condition != test.condition || !strings.Contains(words, test.want) {
				t.Errorf("%q (%s), want %q (...%s...)", condition, words, test.condition, test.want)
			}
			if strings.Contains(words, "geheim") || strings.ContainsAny(words, "\x1b\n") {
				t.Errorf("unfit to print: %q", words)
			}
		})
	}
}

func TestAHugeAnswerIsCutOff(t *testing.T) {
	p := dial(t, &Prometheus{Timeout: time.Minute, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})})
	_, err := p.Query(t.Context(), "up", now)
	if condition, words := conditionOf(err); condition != experiments.Refused || !strings.Contains(words, "more than 8 MiB") {
		t.Errorf("%q (%s)", condition, words)
	}
}

func TestAwayCancelledAndNotOpenAreToldApart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	p := dial(t, &Prometheus{URL: "http://user:geheim@" + address + "?token=geheim"})
	_, err = p.Query(t.Context(), "up", now)
	if condition, words := conditionOf(err); condition != experiments.Unreachable || !strings.Contains(words, "Prometheus at http://"+address+" cannot be reached") || !strings.Contains(words, "refused") || strings.Contains(words, "geheim") {
		t.Errorf("away: %q (%s)", condition, words)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, p := range []*Prometheus{p, start(t)} {
		_, err = p.Query(cancelled, "up", now)
		if condition, words := conditionOf(err); condition != experiments.Unreachable || !strings.Contains(words, "cancelled") {
			t.Errorf("cancelled: %q (%s)", condition, words)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = p.Query(t.Context(), "up", now)
	if condition, words := conditionOf(err); condition != experiments.Broken || !strings.Contains(words, "not open") {
		t.Errorf("closed: %q (%s)", condition, words)
	}
}

func TestCredentialsAreSentAndFilesReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	secret := experiments.NewSecret
	for name, test := range map[string]struct {
		p    *Prometheus
		user string // in the address
		want string
		then string // after the file changed
	}{
		"none":                  {p: &Prometheus{}, want: ""},
		"a token":               {p: &Prometheus{BearerToken: secret("tok")}, want: "Bearer tok", then: "Bearer tok"},
		"a token file":          {p: &Prometheus{BearerTokenFile: file}, want: "Bearer first", then: "Bearer second"},
		"a password":            {p: &Prometheus{BasicAuth: &BasicAuth{Username: "u", Password: secret("p")}}, want: "Basic dTpw", then: "Basic dTpw"},
		"a password file":       {p: &Prometheus{BasicAuth: &BasicAuth{Username: "u", PasswordFile: file}}, want: "Basic dTpmaXJzdA==", then: "Basic dTpzZWNvbmQ="},
		"a user in the address": {p: &Prometheus{}, user: "u:p@", want: "Basic dTpw", then: "Basic dTpw"},
		"a header":              {p: &Prometheus{Headers: map[string]experiments.Secret{"Authorization": secret("Custom x")}}, want: "Custom x", then: "Custom x"},
	} {
		t.Run(name, func(t *testing.T) {
			write("first\n")
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				if r.URL.Path != "/prefix/api/v1/query" || r.Method != http.MethodPost || r.FormValue("query") != "up" || r.FormValue("time") != "1800000000.000" {
					t.Errorf("asked %s %s %v", r.Method, r.URL, r.Form)
				}
				_, _ = io.WriteString(w, one)
			}))
			defer server.Close()
			p := test.p
			p.URL = strings.Replace(server.URL, "://", "://"+test.user, 1) + "/prefix/"
			dial(t, p)
			for _, want := range []string{test.want, test.then} {
				answer, err := p.Query(t.Context(), "up", now)
				if err != nil || len(answer.Points) != 1 || answer.Points[0].Value != 42 || answer.Points[0].Labels.Get("a") != "b" || answer.Points[0].At.UnixMilli() != 1500 {
					t.Fatalf("answer %+v (%v)", answer, err)
				}
				if got != want {
					t.Errorf("sent %q, want %q", got, want)
				}
				write("second\n")
			}
		})
	}
	for name, file := range map[string]string{"is empty": file, "no such file": file + "x"} {
		write(" \n")
		p := dial(t, &Prometheus{URL: "http://127.0.0.1:1", BearerTokenFile: file})
		_, err := p.Query(t.Context(), "up", now)
		if condition, words := conditionOf(err); condition != experiments.Broken || !strings.Contains(words, name) {
			t.Errorf("%q (%s), want %s", condition, words, name)
		}
	}
}

func TestTheCertificateIsChecked(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, one) }))
	defer server.Close()
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		config *tlsconfig.Block
		want   string
	}{
		"an unknown authority": {nil, "certificate"},
		"the right authority":  {&tlsconfig.Block{CAFile: ca}, ""},
		"the wrong name":       {&tlsconfig.Block{CAFile: ca, ServerName: "other.test"}, "other.test"},
		"no check":             {&tlsconfig.Block{InsecureSkipVerify: true}, ""},
	} {
		p := dial(t, &Prometheus{URL: server.URL, TLS: test.config})
		_, err := p.Query(t.Context(), "up", now)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for name, config := range map[string]*tlsconfig.Block{"ca_file": {CAFile: ca + "x"}, "no certificate": {CAFile: os.DevNull}, "cert_file": {CertFile: ca, KeyFile: ca}} {
		err := (&Prometheus{URL: server.URL, TLS: config}).Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want an error about %s", err, name)
		}
	}
}

func TestOtherShapesOfAnswersAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		body      string
		points    int
		histogram bool
		warnings  int
	}{
		"a scalar":    {`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`, 1, false, 0},
		"a string":    {`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`, 0, false, 0},
		"no series":   {`{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["partial response"]}`, 0, false, 1},
		"a range":     {`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]}]}}`, 1, false, 0},
		"a histogram": {`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}`, 1, true, 0},
		"NaN":         {`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}`, 1, false, 0},
	} {
		answer, err := decodeAnswer([]byte(test.body))
		if err != nil || len(answer.Points) != test.points || len(answer.Warnings) != test.warnings || test.points > 0 && answer.Points[0].Histogram != test.histogram {
			t.Errorf("%s: %+v (%v)", name, answer, err)
		}
	}
	var said *apiError
	if _, err := decodeAnswer([]byte(`{"status":"error","errorType":"bad_data","error":"x"}`)); !errors.As(err, &said) {
		t.Errorf("an error of the API: %v", err)
	}
}

func TestConnectionsAreValidated(t *testing.T) {
	secret := experiments.NewSecret("x")
	short := time.Microsecond
	for name, test := range map[string]struct {
		p         *Prometheus
		attribute string
		summary   string
	}{
		"the built-in one":         {&Prometheus{}, "", ""},
		"an address not known yet": {&Prometheus{BearerToken: secret}, "", ""},
		"a server":                 {&Prometheus{URL: "https://u:p@prometheus.test/prefix"}, "", ""},
		"no scheme":                {&Prometheus{URL: "u:geheim@prometheus.test"}, "url", "Bad address"},
		"no host":                  {&Prometheus{URL: "http://"}, "url", "Bad address"},
		"another scheme":           {&Prometheus{URL: "ftp://h"}, "url", "Bad address"},
		"token and basic":          {&Prometheus{URL: "http://h", BearerToken: secret, BasicAuth: &BasicAuth{Username: "u"}}, "", "Several ways to log in"},
		"token and token file":     {&Prometheus{URL: "http://h", BearerToken: secret, BearerTokenFile: "f"}, "bearer_token_file", "Two tokens"},
		"password and its file":    {&Prometheus{URL: "http://h", BasicAuth: &BasicAuth{Password: secret, PasswordFile: "f"}}, "basic_auth", "Two passwords"},
		"a header that is none":    {&Prometheus{URL: "http://h", Headers: map[string]experiments.Secret{"a b": secret}}, "headers", "Bad header name"},
		"two authorizations":       {&Prometheus{URL: "http://u:p@h", Headers: map[string]experiments.Secret{"authorization": secret}}, "headers", "Several ways to log in"},
		"half a certificate":       {&Prometheus{URL: "http://h", TLS: &tlsconfig.Block{CertFile: "c"}}, "tls.cert_file", "Unusable client certificate"},
		"no scrape interval":       {&Prometheus{ScrapeInterval: &short}, "scrape_interval", "Scrape interval too short"},
		"a negative timeout":       {&Prometheus{Timeout: -1}, "timeout", "Negative timeout"},
	} {
		problems := test.p.Validate()
		switch {
		case test.summary == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case test.summary != "" && (len(problems) != 1 || problems[0].Attribute != test.attribute || problems[0].Summary != test.summary):
			t.Errorf("%s: %v, want %s: %s", name, problems, test.attribute, test.summary)
		}
		if strings.Contains(fmt.Sprint(problems), "geheim") {
			t.Errorf("%s: the password is printed: %v", name, problems)
		}
	}
}
