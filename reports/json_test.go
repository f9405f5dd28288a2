package reports

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/redact"
)

// theSchema is that of a stored result, which checks the form of times too.
func theSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../docs/result.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestAStoredResultFitsTheSchemaAndReadsBackTheSame(t *testing.T) {
	schema := theSchema(t)
	for name, r := range all() {
		t.Run(name, func(t *testing.T) {
			text := render(t, "json", r)
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Error(err)
			}
			loaded, err := Load(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range Formats() {
				if again := render(t, format.Name, loaded); !bytes.Equal(again, render(t, format.Name, r)) {
					t.Errorf("%s rendered from the stored result differs", format.Name)
				}
			}
		})
	}
}

func TestTheSchemaNamesEveryFieldOfAResult(t *testing.T) {
	walk(t, "result", reflect.TypeFor[experiments.Result](), theSchema(t))
}

func TestTheSchemaRefusesWhatNoRunLeaves(t *testing.T) {
	schema := theSchema(t)
	whole := string(render(t, "json", results()["aborted"]))
	for _, test := range []struct{ name, old, new string }{
		{"a field of another name", `"scenario":`, `"scenari0":`},
		{"one field more", `"seed": 7,`, `"seed": 7, "speed": 1,`},
		{"no such verdict", `"verdict": "aborted"`, `"verdict": "fine"`},
		{"no such phase", `"phase": "disrupt"`, `"phase": "disrapt"`},
		{"no such step", `"step": "verified"`, `"step": "done"`},
		{"no such condition", `"condition":"unreachable"`, `"condition":"sleepy"`},
		{"no such kind of moment", `"kind": "phase"`, `"kind": "phrase"`},
		{"a seed below nothing", `"seed": 7`, `"seed": -7`},
		{"a count below nothing", `"looks": 480`, `"looks": -1`},
		{"a time without a date", `"began": "2026-11-24T15:30:12Z"`, `"began": "15:30:12"`},
		{"a text in a column", `"at":[1,`, `"at":["1",`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(whole, test.old, test.new, 1)
			if text == whole {
				t.Fatalf("the result holds no %s", test.old)
			}
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if schema.Validate(value) == nil {
				t.Error("it is allowed")
			}
		})
	}
}

func walk(t *testing.T, path string, kind reflect.Type, schema *jsonschema.Schema) {
	for schema.Ref != nil {
		schema = schema.Ref
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch {
	case kind == reflect.TypeFor[time.Time]() || kind == reflect.TypeFor[json.RawMessage]() || kind == reflect.TypeFor[experiments.Floats]():
	case kind.Kind() == reflect.Slice:
		items, ok := schema.Items2020, schema.Items2020 != nil
		if !ok {
			t.Errorf("%s: the schema does not say what the list holds", path)
			return
		}
		walk(t, path+"[]", kind.Elem(), items)
	case kind.Kind() == reflect.Struct:
		if allowed, ok := schema.AdditionalProperties.(bool); !ok || allowed {
			t.Errorf("%s: the schema allows other fields", path)
		}
		count := 0
		for _, field := range reflect.VisibleFields(kind) {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || name == "-" {
				continue
			}
			count++
			property := schema.Properties[name]
			if property == nil {
				t.Errorf("%s.%s is not in the schema", path, name)
				continue
			}
			required := false
			for _, r := range schema.Required {
				required = required || r == name
			}
			if optional := strings.Contains(options, "omit"); optional == required {
				t.Errorf("%s.%s: required is %t in the schema, options are %q", path, name, required, options)
			}
			walk(t, path+"."+name, field.Type, property)
		}
		if count != len(schema.Properties) {
			t.Errorf("%s has %d fields, the schema %d", path, count, len(schema.Properties))
		}
	}
}

func TestLoadSaysWhatIsWrongWithAStoredResult(t *testing.T) {
	whole := string(render(t, "json", run(experiments.Held)))
	for _, test := range []struct{ name, text, want string }{
		{"an empty file", " \n", "is empty"},
		{"a file cut off", whole[:len(whole)/2], "cut off after"},
		{"a file of another version", strings.Replace(whole, "result/v1", "result/v9", 1), `"gameday/result/v9"`},
		{"another version whose fields changed too", `{"schema":"gameday/result/v9","run":[1]}`, `"gameday/result/v9"`},
		{"some other JSON", `{"a":1}`, `no "schema"`},
		{"a broken character", strings.Replace(whole, `"seed":`, `"seed";`, 1), "damaged at line 8, column 9"},
		{"a text where a number belongs", strings.Replace(whole, `"seed": 7`, `"seed": "x"`, 1), `"seed" holds a string`},
		{"a column too short", strings.Replace(whole, `"at":[1,`, `"at":[`, 1), "795 times but 796 numbers"},
		{"a word in a column", strings.Replace(whole, `"at":[1,`, `"at":[true,`, 1), "damaged"},
		{"no such verdict", strings.Replace(whole, `"verdict": "held",`, `"verdict": "fine",`, 1), `"fine" is not a verdict`},
		{"a series that is null", `{"schema":"gameday/result/v1","run":"r","verdict":"held","began":"2026-01-01T00:00:00Z","series":[null]}`, "series 1 is null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Load(strings.NewReader(test.text))
			if err == nil || r != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestTextsAreWrittenWholeForWhoeverLooksForSecretsInThem(t *testing.T) {
	r := run(experiments.Held)
	for i := range 500 {
		r.Series[0].Gaps = append(r.Series[0].Gaps, experiments.Gap{From: 165, To: 166, Why: "refused: " + strings.Repeat("x", i%50) + "planted-s3cret"})
	}
	var b bytes.Buffer
	clean := redact.Func([]string{"planted-s3cret"})
	if err := Store(redact.Writer(&b, clean), r); err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(b.Bytes(), []byte("planted")); at >= 0 {
		t.Errorf("left: %s", b.Bytes()[at-20:at+20])
	}
	if n := bytes.Count(b.Bytes(), []byte(redact.Mark)); n != 500 {
		t.Errorf("%d of 500 are taken out", n)
	}
}

func TestHiddenCharactersAreEscapedInJSONAndMeanTheSame(t *testing.T) {
	r := run(experiments.Held)
	r.Scenario = "a\u202eb\U000e0041c\u009b<&>"
	text := render(t, "json", r)
	if !bytes.Contains(text, []byte(`a\u202eb\udb40\udc41c\u009b<&>`)) {
		t.Errorf("not escaped: %.300s", text)
	}
	loaded, err := Load(bytes.NewReader(text))
	if err != nil || loaded.Scenario != r.Scenario {
		t.Errorf("read back as %q, %v", loaded.Scenario, err)
	}
}
