// Package redact takes secrets out of texts, as they are and in the forms that
// they take in URLs, in JSON, in HTML and in base64, and also where a text was cut within
// one of them.
package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"slices"
	"strings"
)

// Mark stands where a secret was.
const Mark = "(secret)"

// shortest is the length under which a text is no secret worth its name: taking
// out every "a" would leave nothing to read, and hide nothing.
const shortest = 4

// Func returns a function that takes the secrets out of a text. Without secrets it
// returns the text as it is.
func Func(secrets []string) func(string) string {
	var forms []string
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		forms = append(forms, secret, quoted(secret), html.EscapeString(secret))
		// Programs differ in what they escape in a URL, and in the case of the digits.
		query := url.QueryEscape(secret)
		for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(secret)} {
			forms = append(forms, escaped, lowerEscapes(escaped))
		}
		// In base64 a text looks different at each of three offsets; the parts that do
		// not depend on the neighbours are enough to find it.
		for offset := range 3 {
			padded := append(make([]byte, offset), secret...)
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				whole := encoding.EncodeToString(padded)
				first := (offset*8 + 5) / 6
				last := len(padded) * 8 / 6
				if last-first >= shortest {
					forms = append(forms, whole[first:last])
				}
			}
		}
	}
	if len(forms) == 0 {
		return func(text string) string { return text }
	}
	// The longest first, so that no rest of a longer secret stays.
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Mark)
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string { return withoutCut(replacer.Replace(text), forms) }
}

// cutMark is what stands where a long text was cut.
const cutMark = "…"

// withoutCut takes out the begin of a secret in front of the mark of a cut: the rest of
// the secret was cut off before anyone looked for it.
func withoutCut(text string, forms []string) string {
	if !strings.Contains(text, cutMark) {
		return text
	}
	parts := strings.Split(text, cutMark)
	for i, part := range parts[:len(parts)-1] {
		longest := 0
		for _, form := range forms {
			for n := min(len(form)-1, len(part)); n >= shortest && n > longest; n-- {
				if strings.HasSuffix(part, form[:n]) {
					longest = n
				}
			}
		}
		if longest > 0 {
			parts[i] = part[:len(part)-longest] + Mark
		}
	}
	return strings.Join(parts, cutMark)
}

// lowerEscapes writes the digits of percent escapes in lower case: %2b for %2B.
func lowerEscapes(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			b.WriteString(strings.ToLower(text[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// quoted is the text as it stands within a JSON string.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return text
	}
	return strings.Trim(string(encoded), `"`)
}

// JSON takes secrets out of the values of a JSON text that are strings, whatever form
// escapes gave them. Names, and what is no valid string, stay.
func JSON(text []byte, clean func(string) string) []byte {
	out := make([]byte, 0, len(text))
	for {
		begin := bytes.IndexByte(text, '"')
		if begin < 0 {
			return append(out, text...)
		}
		end := begin + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			return append(out, text...)
		}
		out = append(out, text[:begin]...)
		literal, rest := text[begin:end+1], text[end+1:]
		var value string
		named := bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
		if !named && json.Unmarshal(literal, &value) == nil {
			if cleaned := clean(value); cleaned != value {
				// A string can always be written as JSON.
				literal, _ = json.Marshal(cleaned)
			}
		}
		out = append(out, literal...)
		text = rest
	}
}

// Writer cleans what is written through it. A secret that is cut in two by two
// writes is not seen, so whoever writes gives whole lines or whole documents.
func Writer(w io.Writer, clean func(string) string) io.Writer { return writer{w, clean} }

type writer struct {
	w     io.Writer
	clean func(string) string
}

func (w writer) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.w, w.clean(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}
