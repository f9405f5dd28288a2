package guards

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestKindsAreDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			if seen[kind.Name] || kind.Summary == "" {
				t.Errorf("named twice, or without a summary %q", kind.Summary)
			}
			seen[kind.Name] = true
			guard := kind.New()
			if guard == kind.New() {
				t.Error("New gives the same guard twice")
			}
			if _, ok := guard.(experiments.Validator); !ok {
				t.Error("not a Validator")
			}
			fields := reflect.TypeOf(guard).Elem()
			for i := range fields.NumField() {
				field := fields.Field(i)
				if !strings.HasSuffix(field.Tag.Get("doc"), ".") {
					t.Errorf("%s: the doc is no sentence: %q", field.Name, field.Tag.Get("doc"))
				}
				_, hasDefault := field.Tag.Lookup("default")
				optional := strings.HasSuffix(field.Tag.Get("hcl"), ",optional")
				if hasDefault && !optional || optional && !hasDefault && field.Type.Kind() != reflect.Pointer {
					t.Errorf("%s: optional %t, with a default %t", field.Name, optional, hasDefault)
				}
				if _, hasExample := field.Tag.Lookup("example"); !hasDefault && !hasExample {
					t.Errorf("%s: neither a default nor an example", field.Name)
				}
			}
		})
	}
}

func TestNumbersAsAPersonReadsThem(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.4: "0.4", 2.1: "2.1", 21.34: "21.3", 213.4: "213", 1234.5: "1234", 0.00412345: "0.00412", -12.5: "-12.5", 100: "100", 99.96: "100",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%g) = %q, want %q", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		1234 * time.Microsecond: "1ms", 1540 * time.Millisecond: "1.5s", 72400 * time.Millisecond: "1m12s", 90*time.Minute + 20*time.Second: "1h30m", 48 * time.Hour: "2d",
	} {
		if got := about(d); got != want {
			t.Errorf("about(%d) = %q, want %q", d, got, want)
		}
	}
}
