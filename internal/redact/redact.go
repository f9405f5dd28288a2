// Package redact takes secrets out of texts, as they are and in the forms that
// they take in URLs, in JSON and in base64.
package redact

import (
	"encoding/base64"
	"encoding/json"
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
		forms = append(forms, secret, url.QueryEscape(secret), url.PathEscape(secret), quoted(secret))
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
	return strings.NewReplacer(pairs...).Replace
}

// quoted is the text as it stands within a JSON string.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return text
	}
	return strings.Trim(string(encoded), `"`)
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
