package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/internal/textsafe"
)

// cutExactly is up to how many characters that are left out are counted one by one.
const cutExactly = 10_000

// clean makes a text that came from elsewhere safe to show on one line: terminal
// escapes, control characters and what changes the direction of text are removed,
// white space is joined, and what is longer than limit characters is cut with a
// note. Escaping for a format comes after it.
func clean(text string, limit int) string {
	var b strings.Builder
	count, cut, space := 0, 0, false
	for len(text) > 0 && cut < cutExactly {
		if n := textsafe.Escape(text); n > 0 {
			text = text[n:]
			continue
		}
		char, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch {
		case unicode.IsSpace(char) || char == '\u2028' || char == '\u2029':
			space = count > 0
			continue
		case unicode.IsControl(char) || hidden(char):
			continue
		}
		if count >= limit {
			if cut++; cut >= cutExactly {
				// Of a megabyte nobody asks how many of its characters would have been seen.
				cut += utf8.RuneCountInString(text)
			}
			continue
		}
		if space {
			b.WriteByte(' ')
			count++
			space = false
		}
		b.WriteRune(char)
		count++
	}
	if cut > 0 {
		fmt.Fprintf(&b, "… (%s)", plural(cut, "more character"))
	}
	return b.String()
}

// hidden tells whether a character is not seen but changes what is seen: it orders
// text the other way round, or is none at all.
func hidden(char rune) bool {
	switch {
	case char >= 0x202a && char <= 0x202e, char >= 0x2066 && char <= 0x2069,
		char >= 0x200e && char <= 0x200f, char == 0x061c, // text direction
		char == 0x200b, char == 0x2060, char == 0xfeff, char == 0x00ad, // of no width
		char >= 0x80 && char <= 0x9f,       // C1 controls
		char >= 0xe0000 && char <= 0xe007f, // tags
		char&0xfffe == 0xfffe,              // no characters; XML forbids them
		char >= 0xfdd0 && char <= 0xfdef:
		return true
	}
	return false
}

// plural writes a count with its noun.
func plural(count int, noun string) string {
	if count == 1 {
		return "1 " + noun
	}
	if stem, found := strings.CutSuffix(noun, "sis"); found {
		return sayCount(float64(count)) + " " + stem + "ses"
	}
	return sayCount(float64(count)) + " " + noun + "s"
}

// sayCount writes a number with commas between the thousands and no more digits than
// mean something.
func sayCount(number float64) string {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return "unknown"
	}
	if math.Abs(number) >= 1e15 {
		return strconv.FormatFloat(number, 'g', 4, 64)
	}
	decimals := 0
	if number != math.Trunc(number) && math.Abs(number) < 1000 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(number)))))
	}
	if decimals > 8 {
		return strconv.FormatFloat(number, 'g', 3, 64)
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(math.Abs(number), 'f', decimals, 64), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		whole += "." + fraction
	}
	if number < 0 && whole != "0" {
		return "-" + whole
	}
	return whole
}

// sayPercent writes a share with as many digits as tell it from nothing and from
// all: 99.71%, 99.9967%, 0.031%.
func sayPercent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "unknown"
	}
	percent := share * 100
	distance := math.Min(math.Abs(percent), math.Abs(100-percent))
	decimals := 0
	if distance > 0 && math.Abs(percent) < 200 {
		decimals = min(max(1, 1-int(math.Floor(math.Log10(distance)+1e-9))), 8)
	}
	text := strconv.FormatFloat(percent, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}

// sayEvents writes a count of events. Counts from a server's rates are estimates with
// a fraction that means nothing, so it is kept only where it tells some from none.
func sayEvents(number float64) string {
	if number >= 1 || number <= -1 {
		number = math.Round(number)
	}
	return sayCount(number)
}

// sayDuration writes a duration as a scenario does, with no more digits than mean
// something: 120ms, 2.4s, 1m30s, 2h5m, 30d.
func sayDuration(d time.Duration) string {
	if d < 0 {
		return "-" + sayDuration(-d)
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return trimmed(d.Seconds()*1e3, 2) + "ms"
	case d < 10*time.Millisecond:
		return trimmed(d.Seconds()*1e3, 1) + "ms"
	case d < 999500*time.Microsecond:
		return trimmed(d.Seconds()*1e3, 0) + "ms"
	case d < 9950*time.Millisecond:
		return trimmed(d.Seconds(), 2) + "s"
	case d < 59500*time.Millisecond:
		return trimmed(d.Seconds(), 0) + "s"
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return parts(int(d/time.Minute), "m", int(d%time.Minute/time.Second), "s")
	case d < 24*time.Hour-30*time.Second:
		d = d.Round(time.Minute)
		return parts(int(d/time.Hour), "h", int(d%time.Hour/time.Minute), "m")
	}
	d = d.Round(time.Hour)
	return parts(int(d/(24*time.Hour)), "d", int(d%(24*time.Hour)/time.Hour), "h")
}

func parts(big int, bigUnit string, small int, smallUnit string) string {
	if small == 0 {
		return strconv.Itoa(big) + bigUnit
	}
	return strconv.Itoa(big) + bigUnit + strconv.Itoa(small) + smallUnit
}

func trimmed(number float64, decimals int) string {
	text := strconv.FormatFloat(number, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// sayValue writes a number in its unit: "ratio" as a percent, "s" as a duration.
func sayValue(number float64, unit string) string {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return "unknown"
	}
	switch unit {
	case "ratio":
		return sayPercent(number)
	case "s":
		if math.Abs(number) < float64(math.MaxInt64)/float64(time.Second) {
			return sayDuration(time.Duration(math.Round(number * float64(time.Second))))
		}
		return sayCount(number) + " s"
	case "":
		return sayCount(number)
	}
	return sayCount(number) + " " + unit
}

// sayClock writes a time of day in UTC, with the date where it is another day than
// that of the run's begin.
func sayClock(at, began time.Time) string {
	if at.IsZero() {
		return "unknown"
	}
	at, began = at.UTC(), began.UTC()
	if at.YearDay() == began.YearDay() && at.Year() == began.Year() {
		return at.Format("15:04:05.000")
	}
	return at.Format("2 Jan 15:04:05.000")
}

// sayOffset writes the time since the run began: +1:05, +2:03:10; in a short run
// with tenths of a second, +1:05.3, because there they matter.
func sayOffset(d time.Duration, short bool) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	tenths := ""
	if short {
		tenths = fmt.Sprintf(".%d", d%time.Second/(100*time.Millisecond))
	}
	seconds := int(d / time.Second)
	if seconds >= 3600 {
		return fmt.Sprintf("%s%d:%02d:%02d%s", sign, seconds/3600, seconds/60%60, seconds%60, tenths)
	}
	return fmt.Sprintf("%s%d:%02d%s", sign, seconds/60, seconds%60, tenths)
}

// quoted puts a name into typographic quotes.
func quoted(name string) string { return "“" + name + "”" }

// sentence ends a text with a full stop and begins it with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return closed(string(unicode.ToUpper(first)) + text[size:])
}

// closed ends a text with a full stop, for the end of a sentence that began before it.
func closed(text string) string {
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// shellQuoted quotes an argument for a POSIX shell where that is needed. Line breaks
// and tabs are kept, as the escapes of $'...'; what nobody sees is removed.
func shellQuoted(argument string) string {
	if strings.ContainsAny(argument, "\n\t") && !strings.ContainsFunc(argument, func(char rune) bool {
		return char != '\n' && char != '\t' && (unicode.IsControl(char) || hidden(char))
	}) && len(argument) <= commandLimit {
		return "$'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`).Replace(argument) + "'"
	}
	argument = clean(argument, commandLimit)
	plain := argument != "" && !strings.ContainsFunc(argument, func(char rune) bool {
		return !(char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || strings.ContainsRune("-_./:=+,@%", char))
	})
	if plain {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
