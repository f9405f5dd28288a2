package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

func TestABriefHoldsWhatAListShows(t *testing.T) {
	list := all()
	list["hostile"] = hostile()
	list["hostile"].Description = "x\n  \"phases\": [\n  \"recovered\": \"2026-01-01T00:00:00Z\""
	mended := results()["not-restored"]
	mended.Recovered = after(300)
	list["mended since"] = mended
	for name, r := range list {
		text := render(t, "json", r)
		brief, err := Brief(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		whole, err := Load(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if brief.Run != whole.Run || brief.Scenario != whole.Scenario || brief.Description != whole.Description || brief.Digest != whole.Digest || brief.Host != whole.Host ||
			!brief.Began.Equal(whole.Began) || !brief.Ended.Equal(whole.Ended) || brief.Verdict != whole.Verdict || brief.Reason != whole.Reason || !brief.Recovered.Equal(whole.Recovered) {
			t.Errorf("%s: %+v", name, brief)
		}
		if len(brief.Phases)+len(brief.Hypotheses)+len(brief.Series) > 0 {
			t.Errorf("%s: a brief holds lists, so it was read whole", name)
		}
	}
}

func TestABriefSaysWhatIsWrongAsLoadDoes(t *testing.T) {
	whole := string(render(t, "json", run(experiments.Held)))
	for _, text := range []string{
		"", whole[:200], whole[:len(whole)/2], whole[:len(whole)-2], `{"a":1}`,
		strings.Replace(whole, "result/v1", "result/v9", 1), strings.Replace(whole, `"verdict": "held",`, `"verdict": "fine",`, 1), strings.Replace(whole, `"seed":`, `"seed";`, 1),
	} {
		_, want := Load(strings.NewReader(text))
		r, err := Brief([]byte(text))
		if err == nil || want == nil || r != nil || err.Error() != want.Error() {
			t.Errorf("%.60q: got %v, want %v", text, err, want)
		}
	}
	joined := strings.ReplaceAll(whole, "\n", " ")
	if r, err := Brief([]byte(joined)); err != nil || len(r.Hypotheses) == 0 {
		t.Errorf("another layout: %v", err)
	}
}
