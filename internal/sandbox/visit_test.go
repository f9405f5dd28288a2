package sandbox

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is a visitor who keeps cookies, and follows no redirect unseen.
type browser struct {
	t      *testing.T
	front  string
	client *http.Client
}

func newBrowser(t *testing.T, front string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport(1)
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, front, &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// asks sends a request; a body that begins with { is JSON, another one a form.
func (b *browser) asks(method, path, body string, header http.Header, code int, want string) string {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.front+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if body != "" && body[0] != '{' {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		b.t.Fatal(err)
	}
	text := string(got) + response.Header.Get("Location")
	if response.StatusCode != code || !strings.Contains(text, want) {
		b.t.Errorf("%s %s = %d %s; want %d with %s", method, path, response.StatusCode, text, code, want)
	}
	return text
}

var (
	hiddenField = regexp.MustCompile(`name="csrf" type="hidden" value="([^"]+)"`)
	tokenField  = regexp.MustCompile(`"(?:token|payment)":"([^"]+)"`)
)

func found(t *testing.T, in *regexp.Regexp, text string) string {
	t.Helper()
	match := in.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("%s is not in %s", in, text)
	}
	return match[1]
}

func TestAVisitorLogsIn(t *testing.T) {
	front := open(t, nil).Export("url")
	b := newBrowser(t, front)
	form := func(csrf, password string) string {
		return url.Values{"user": {accountUser}, "password": {password}, "csrf": {csrf}}.Encode()
	}
	b.asks("GET", "/dashboard", "", nil, 401, "log in first")
	b.asks("GET", "/token", "", nil, 401, "log in first")
	b.asks("GET", "/account", "", nil, 303, "/login")
	csrf := found(t, hiddenField, b.asks("GET", "/login", "", nil, 200, "<form"))
	newBrowser(t, front).asks("POST", "/login", form(csrf, accountPassword), nil, 403, "not that of the login page")
	b.asks("POST", "/login", form("guessed", accountPassword), nil, 403, "not that of the login page")
	b.asks("POST", "/login", form(csrf, "guessed"), nil, 401, "no such user")
	b.asks("POST", "/login", "%zz", nil, 400, "cannot be read")
	b.asks("POST", "/login", form(csrf, accountPassword), nil, 303, "/account")
	b.asks("GET", "/account", "", nil, 303, "/dashboard")
	b.asks("GET", "/dashboard", "", nil, 200, `{"user":"ada","offer":{"name":"tea","cents":450}}`)
	token := found(t, tokenField, b.asks("GET", "/token", "", nil, 200, ""))
	other := newBrowser(t, front)
	other.asks("GET", "/dashboard", "", http.Header{"Authorization": {"Bearer " + token}}, 200, `"user":"ada"`)
	other.asks("GET", "/dashboard", "", http.Header{"Authorization": {"Bearer bob" + strings.TrimPrefix(token, "ada")}}, 401, "not ours")
}

func TestAVisitorSearches(t *testing.T) {
	b := newBrowser(t, open(t, nil).Export("url"))
	b.asks("GET", "/search?q=tea", "", nil, 200, `{"count":2,"results":[{"name":"tea","cents":450},{"name":"teapot","cents":2900}]}`)
	b.asks("GET", "/search?q=tea&max_cents=1000", "", nil, 200, `{"count":1,`)
	b.asks("GET", "/search?q=gold", "", nil, 200, `{"count":0,"results":[]}`)
	b.asks("GET", "/search?max_cents=few", "", nil, 400, "whole number")
}

func TestAVisitorPaysForWhatIsInTheCart(t *testing.T) {
	front := open(t, nil).Export("url")
	b := newBrowser(t, front)
	b.asks("GET", "/cart", "", nil, 404, "empty")
	b.asks("POST", "/cart/payment", `{"card":"4111"}`, nil, 404, "empty")
	b.asks("POST", "/cart", `{"product":"gold"}`, nil, 404, "no product of that name")
	b.asks("POST", "/cart", `{"product":"cup","quantity":0}`, nil, 400, "at least 1")
	b.asks("POST", "/cart", `{"product":"tea"}`, nil, 201, `{"product":"tea","quantity":1}`)
	payment := found(t, tokenField, b.asks("POST", "/cart/payment", `{"card":"4111"}`, nil, 200, ""))
	b.asks("POST", "/cart", `{"product":"cup","quantity":3}`, nil, 201, `{"product":"cup","quantity":3}`)
	b.asks("GET", "/cart", "", nil, 200, `{"product":"cup","quantity":3,"cents":2400}`)
	b.asks("POST", "/checkout", "", nil, 402, "no payment")
	b.asks("POST", "/checkout", `{"payment":"`+payment+`"}`, nil, 402, "no payment") // that of another cart
	b.asks("POST", "/cart/payment", `{}`, nil, 400, "number of a card")
	payment = found(t, tokenField, b.asks("POST", "/cart/payment", `{"card":"4111"}`, nil, 200, ""))
	bought := b.asks("POST", "/checkout", `{"payment":"`+payment+`"}`, nil, 200, `"product":"cup","quantity":3,"order":`)
	if strings.Contains(bought, payment) {
		t.Errorf("the payment is repeated: %s", bought)
	}
}

func TestACookieThatTheShopDidNotWriteIsNone(t *testing.T) {
	s := open(t, nil)
	for _, value := range []string{"YWRh.forged", "YWRh", ".", "%%%", "YWRh." + (&visits{key: []byte("another")}).sign(sessionCookie, "ada")} {
		got := ask(t, "GET", s.Export("url")+"/dashboard", "", http.Header{"Cookie": {"session=" + value}})
		if got.code != http.StatusUnauthorized {
			t.Errorf("with the cookie %s the dashboard answers %d %s", value, got.code, got.body)
		}
	}
}
