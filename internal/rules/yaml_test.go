package rules

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// Whatever is written is read again as it was, as a query, a text, a key and a comment.
func TestWhatIsWrittenIsRead(t *testing.T) {
	odd := rapid.SampledFrom([]string{"yes", "~", "null", "1", "1.0", "0x1", "2026-01-01", "- a", "a: b", "a #b", "#", " a", "a ", "\ta", "a\n  b\nc", "\n", "a\n", "'", `"`, "%", "&a", "*", "!x", "{", "[", "a\u2028b", "a\u0085b", "é", "", "a:", "a:b", "a\r\nb", "?", "|", ">", "@", "`", "inf", "a\\b"})
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.OneOf(odd, rapid.StringN(0, 8, -1)), 1, 3).Draw(t, "parts"), "")
		})
		expr := query(words.Draw(t, "query"))
		labels := rapid.MapOfN(rapid.StringMatching(`[a-z_][a-zA-Z0-9_]{0,4}`), words, 1, 4).Draw(t, "labels")
		rule := mapping("expr", expr, "labels", texts(labels), "for", text(words.Draw(t, "for")))
		rule.HeadComment = comment(strings.Split(words.Draw(t, "comment"), "\n"))
		want := map[string]any{"expr": expr.Value, "labels": map[string]any{}, "for": rule.Content[5].Value}
		for key, value := range labels {
			want["labels"].(map[string]any)[key] = value
		}
		var out bytes.Buffer
		if err := write(&out, []string{"top"}, mapping("rules", list([]*yaml.Node{rule}))); err != nil {
			t.Fatal(err)
		}
		var got struct{ Rules []map[string]any }
		if err := yaml.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if len(got.Rules) != 1 || !reflect.DeepEqual(got.Rules[0], want) {
			t.Fatalf("wrote %q, read %q:\n%s", want, got.Rules, &out)
		}
	})
}
