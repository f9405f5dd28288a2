package experiments

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"300ms": 300 * time.Millisecond, "30d": 30 * Day, "1w": Week, "1m30s": 90 * time.Second, "1w2d3h": Week + 2*Day + 3*time.Hour,
		"1.5d": 36 * time.Hour, " 5s ": 5 * time.Second, "0s": 0, "0d": 0, "1d0.5s": Day + 500*time.Millisecond, "100us": 100 * time.Microsecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "5", "0", "s", "d", "-5s", "-5d", "+5s", "+5d", "1w-2d", "1w+2d", "5 d", "1d 2h", "5days", "5min", "1d1w", "1d1d", "NaNd", "Infd", "1e3d", "1e3s", "0x10d", "1_000d",
		"106751.99116730064d", "107000d", "15251w", "106751d23h47m16.9s", "1d9223372036s", "..5s", "5m5", "٥s",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		} else if !strings.Contains(err.Error(), "write a number with a unit") {
			t.Errorf("%q: the error does not say what to write: %v", text, err)
		}
	}
}

func TestWhatFormatDurationWritesIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.OneOf(
			rapid.Int64Range(0, math.MaxInt64),
			rapid.Map(rapid.Int64Range(0, 1e6), func(n int64) int64 { return n * int64(time.Second) }),
			rapid.Map(rapid.Int64Range(0, 1e4), func(n int64) int64 { return n * int64(time.Hour) }),
		).Draw(t, "d"))
		text := FormatDuration(d)
		if got, err := ParseDuration(text); err != nil || got != d {
			t.Fatalf("%d is written %q and read back as %d, %v", d, text, got, err)
		}
	})
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]Percent{
		"99.9%": 0.999, "99.99%": 0.9999, "14.4%": 0.144, "0.1%": 0.001, "100%": 1, "0%": 0, " 5 % ": 0.05, ".5%": 0.005, "99.95%": 0.9995, "1.44%": 0.0144,
	} {
		if got, err := ParsePercent(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want exactly %v", text, float64(got), err, float64(want))
		}
	}
	for _, text := range []string{"", "%", "5", "0.999", "-1%", "-0%", "+5%", "100.0001%", "1e1%", "NaN%", "Inf%", "0x1%", "1_0%", "5%%", "1,5%", "٥%", ".%"} {
		if got, err := ParsePercent(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestWhatAPercentWritesIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Percent(rapid.Float64Range(0, 1).Draw(t, "p"))
		if got, err := ParsePercent(p.String()); err != nil || got != p {
			t.Fatalf("%v is written %q and read back as %v, %v", float64(p), p, float64(got), err)
		}
	})
	rapid.Check(t, func(t *rapid.T) { // and what people write comes back as they wrote it
		text := fmt.Sprintf("%d", rapid.IntRange(0, 99).Draw(t, "whole"))
		if n := rapid.IntRange(0, 6).Draw(t, "digits"); n > 0 {
			text += "." + strings.Repeat("9", n-1) + fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "last"))
		}
		if p, err := ParsePercent(text + "%"); err != nil || p.String() != text+"%" {
			t.Fatalf("%s%% reads back as %s, %v", text, p, err)
		}
	})
}

func TestTheBudgetOfAnObjectiveIsExact(t *testing.T) {
	for text, want := range map[string]float64{"99.9%": 0.001, "99%": 0.01, "99.99%": 0.0001, "95%": 0.05, "99.95%": 0.0005, "99.999%": 0.00001, "50%": 0.5} {
		objective, err := ParsePercent(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&SLO{Objective: objective}).Budget(); got != want {
			t.Errorf("the budget of %s is %v, want %v", text, got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	for text, want := range map[string]Range{
		"30s": {30 * time.Second, 30 * time.Second}, "30s..120s": {30 * time.Second, 2 * time.Minute}, "1d .. 1w": {Day, Week}, "0s..0s": {},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "..", "5s..", "..5s", "10s..5s", "5s...10s", "5s..10s..20s", "5s-10s", "5..10s"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		low := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "low"))
		r := Range{low, time.Duration(rapid.Int64Range(int64(low), math.MaxInt64).Draw(t, "high"))}
		if got, err := ParseRange(r.String()); err != nil || got != r {
			t.Fatalf("%v is read back as %v, %v", r, got, err)
		}
		if d := r.Draw(rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "uniform")); d < r.Min || d > r.Max {
			t.Fatalf("%s drawn from %s", d, r)
		}
	})
}

func TestASecretIsNeverPrinted(t *testing.T) {
	secret := NewSecret("hunter2")
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%+v", struct{ S Secret }{secret}), fmt.Sprintf("%#v", []Secret{secret}), fmt.Sprintf("%q", secret), fmt.Sprintf("%x", secret)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
			t.Errorf("printed: %s", text)
		}
	}
}
