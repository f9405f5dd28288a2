package scenarios

import (
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/blocks"
)

// TestWriteSaysInHCLWhatTheTreeHolds writes each sort of value, and reads it back.
func TestWriteSaysInHCLWhatTheTreeHolds(t *testing.T) {
	lines := "sum(\n  rate(a{b=\"${c} %{d}\"}[$window])\n)\n"
	file := blocks.File{Comment: []string{"Head", "", "  indented stays"}, Blocks: []blocks.Block{{
		Comment: []string{strings.Repeat("word ", 40)}, Type: "locals",
		Attributes: []blocks.Attribute{
			{Name: "text", Value: blocks.Text("a \"b\" ${c} %{d}\t\\ \x1b é")},
			{Name: "lines", Value: blocks.Text(lines)},
			{Name: "marker", Value: blocks.Text("EOT\nx\n")},
			{Name: "number", Value: blocks.Number("0.30000000000000000001")},
			{Name: "yes", Value: blocks.Bool(true)},
			{Name: "same", Value: blocks.Reference("local.text")},
			{Name: "list", Value: blocks.List{blocks.Text("a"), blocks.Number("1")}},
			{Name: "long", Value: blocks.List{blocks.Text(strings.Repeat("a", 60)), blocks.Text(strings.Repeat("b", 60))}},
			{Name: "map", Value: blocks.Map{{Name: "a-b", Value: blocks.Text("x\ny\n")}, {Name: "a.b", Value: blocks.List{}}}},
			{Name: "empty", Value: blocks.Map{}},
		},
	}, {Type: "scenario", Labels: []string{"off"}, Off: true, Blocks: []blocks.Block{{Type: "fault", Labels: []string{"a", "b\n\""}}}}}}
	text, err := Write(file)
	if err != nil {
		t.Fatal(err)
	}
	laid, problems := Format("a.hcl", text)
	if problems.HasErrors() || string(laid) != string(text) {
		t.Errorf("%v, laid out as\n%s\nand written as\n%s", problems, laid, text)
	}
	c, problems := Language{}.LoadText("a.hcl", text, Options{})
	if problems.HasErrors() {
		t.Fatalf("%v in\n%s", problems, text)
	}
	if len(c.Scenarios()) != 0 {
		t.Error("a block that is off is read")
	}
	for _, local := range c.locals {
		value, _ := local.attribute.Expr.Value(nil)
		switch local.name {
		case "text":
			if value.AsString() != "a \"b\" ${c} %{d}\t\\ \x1b é" {
				t.Errorf("text is %q", value.AsString())
			}
		case "lines":
			if value.AsString() != lines {
				t.Errorf("lines is %q", value.AsString())
			}
		case "marker":
			if value.AsString() != "EOT\nx\n" {
				t.Errorf("marker is %q", value.AsString())
			}
		case "number":
			if got := value.AsBigFloat().Text('g', 20); got != "0.30000000000000000001" {
				t.Errorf("number is %s", got)
			}
		}
	}
	for _, want := range []string{"# Head\n#\n#   indented stays\n", "<<EOT\nsum(\n", "# scenario \"off\" {\n#   fault \"a\" \"b\\n\\\"\" {\n#   }\n# }\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "# word") && len(line) > commentWidth+4 {
			t.Errorf("a line of a comment has %d characters", len(line))
		}
	}
}

func TestWriteRefusesWhatWouldNotBeHCL(t *testing.T) {
	for name, value := range map[string]blocks.Value{
		"is not a number": blocks.Number("NaN"), "is not a reference": blocks.Reference("slo.a b"), "cannot be written": nil,
	} {
		_, err := Write(blocks.File{Blocks: []blocks.Block{{Type: "locals", Attributes: []blocks.Attribute{{Name: "a", Value: value}}}}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", value, err)
		}
	}
	if _, err := Write(blocks.File{Blocks: []blocks.Block{{Type: "locals", Attributes: []blocks.Attribute{{Name: "a", Value: blocks.Number("1/3")}}}}}); err == nil {
		t.Error("a fraction was written")
	}
}
