package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

func TestNoFormOfASecretIsLeft(t *testing.T) {
	const secret = `s3cr&t "p/ss" wörd+1`
	clean := Func([]string{secret, "other-secret"})
	encoded, err := json.Marshal("x" + secret)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		"plain":        "a " + secret + " b",
		"query":        "?token=" + url.QueryEscape(secret),
		"path":         "/t/" + url.PathEscape(secret),
		"component":    strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		"lower query":  "?token=s3cr%26t+%22p%2fss%22+w%c3%b6rd%2b1",
		"html":         "<td>" + html.EscapeString(secret) + "</td>",
		"cut":          "x" + secret[:9] + "…",
		"cut twice":    secret[:9] + "… and other-se… done",
		"cut in URL":   url.QueryEscape(secret)[:12] + "…",
		"json":         string(encoded),
		"other secret": "other-secret",
	}
	for offset := range 4 {
		plain := strings.Repeat("u", offset) + secret + "tail"
		forms[fmt.Sprintf("base64 at offset %d", offset)] = base64.StdEncoding.EncodeToString([]byte(plain))
		forms[fmt.Sprintf("base64 for URLs at offset %d", offset)] = base64.URLEncoding.EncodeToString([]byte(plain))
	}
	for name, text := range forms {
		if got := clean(text); got == text || !strings.Contains(got, Mark) || strings.Contains(got, "s3cr") || strings.Contains(got, "other-s") {
			t.Errorf("%s: %q stayed %q", name, text, got)
		}
	}
	if got := clean("nothing to hide…"); got != "nothing to hide…" {
		t.Errorf("a harmless text that was cut became %q", got)
	}
	if got := clean("nothing to hide"); got != "nothing to hide" {
		t.Errorf("a harmless text became %q", got)
	}
}

func TestWithoutSecretsTextsStay(t *testing.T) {
	for _, secrets := range [][]string{nil, {""}, {"abc"}} {
		if got := Func(secrets)("abcd"); got != "abcd" {
			t.Errorf("with %q the text became %q", secrets, got)
		}
	}
}

func TestTheStringsOfAJSONTextAreCleanedWhateverTheirEscapes(t *testing.T) {
	clean := Func([]string{`a"b&c_d`, "1234"})
	const text = `{"1234": 1234, "a": ["x a\"b&c_d y", "a\u0022b\u0026c_d"], "b" : "back\\", "c": "at 12345", "cut`
	const want = `{"1234": 1234, "a": ["x (secret) y", "(secret)"], "b" : "back\\", "c": "at (secret)5", "cut`
	if got := string(JSON([]byte(text), clean)); got != want {
		t.Errorf("it became\n%s, want\n%s", got, want)
	}
}
