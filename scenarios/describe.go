package scenarios

import (
	"cmp"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// BlockDoc describes a block of the language, or a kind.
type BlockDoc struct {
	Topic   string // "fault"
	Kind    string // "toxiproxy_latency"; empty for what is no kind
	Form    string // `fault "toxiproxy_latency" "name"`
	Summary string
	Text    string // more about it, where there is more to say
	Groups  []Group
	Exports []string // values that a connection has
	// Example is a block of a shipped scenario, empty where none has one.
	Example string
}

// Group is attributes that belong together.
type Group struct {
	Title      string // empty for the block's own
	Attributes []AttributeDoc
}

// AttributeDoc describes an attribute, or a block within a block.
type AttributeDoc struct {
	Name     string
	Type     string // "a duration"
	Required bool
	Block    bool
	Repeated bool   // a block that may be written several times
	Default  string // as a scenario would write it
	Unit     string
	Enum     []string
	Doc      string
	Example  string // as a scenario would write it
	Inner    []AttributeDoc
}

// topic is a block of the language itself.
type topic struct {
	name, form, summary, text string
	structs                   []any // whose attributes it has
	title                     string
	example                   string         // where no shipped scenario has one
	more                      []AttributeDoc // attributes that are not decoded as values
	exports                   []string       // values to refer to
	// table is the struct that the language's tables give it, whose attributes stand in a
	// group of their own; kind one whose attributes are the block's own too.
	table func(Language) any
	kind  func(Language) row
}

// topics are the blocks of the language, in the order in which they are explained.
func topics() []topic {
	return []topic{
		{
			name: "scenario", form: `scenario "name"`, summary: "One experiment: what should hold, what to break, when to stop",
			text:    "It holds blocks: at least one hypothesis, and faults and guards. Guards that every scenario needs are added where it writes none of that kind.",
			structs: []any{&scenarioBlock{}},
		}, {
			name: "hypothesis", form: `hypothesis "statement"`, summary: "What should hold before, during and after the faults",
			text:    "It is about exactly one slo, probe or journey, and has at most one limit (at_least, or one of those that end in _at_most and _at_least). Without a limit, each measurement of a probe must be good, and an slo must meet its objective; a probe that reads a number and judges nothing, such as prometheus, needs a limit on its values.",
			structs: []any{&hypothesisBlock{}},
		}, {
			name: "fault", form: `fault "kind" "name"`, summary: "What to break, when and for how long",
			text:    "A fault whose harm stays until it is undone needs a duration; repeated with every, it needs times as well, and an every at least as long. One that is over at once may be repeated with every, and then needs duration or times.",
			structs: []any{&faultBlock{}}, title: "Schedule (every fault)",
		}, {
			name: "guard", form: `guard "kind" "name"`, summary: "When to stop at once and mend everything",
		}, {
			name: "slo", form: `slo "name"`, summary: "An objective for a share of good events over a window",
			text:    "It rests on exactly one thing that counts events: probe = probe.name, or an sli block.",
			structs: []any{&sloBlock{}},
		}, {
			name: "error_budget_policy", form: `error_budget_policy "name"`, summary: "What a team does by how much of an error budget is left",
			text:    "Its bands say which purposes are allowed: a scenario that names the policy runs only while each of its slos is in a band that allows game-day. Every policy has a band \"unknown\", which allows nothing unless it is written.",
			structs: []any{&policyBlock{}},
		}, {
			name: "sli", form: `sli "kind"`, summary: "What counts the events of an slo",
			text: "It stands within an slo. Without a label it is of the kind \"" + DefaultSLI + "\".",
		}, {
			name: "probe", form: `probe "kind" "name"`, summary: "Takes one measurement after another",
			structs: []any{&probeBlock{}}, title: "Pace (every probe)",
		}, {
			name: "journey", form: `journey "name"`, summary: "A user's way through the system in steps, which is measured as one",
			text:    "A reference journey.name goes wherever a probe may be named. A measurement is good if every step is, and takes as long as all steps together. A step that fails ends it, and is named by the reason. Every measurement is a user of its own: with new connections, without cookies, keeping those that it is given. What a step captures, later steps write as capture.name: in url, headers, body and form; alone, in a text, and within jsonencode(...). It is taken for a secret: no sample and no report quotes it.",
			structs: []any{&journeyBlock{}},
			kind:    func(l Language) row { return rows([]experiments.Kind[experiments.JourneyProbe]{l.Journey})[0] },
		},
		goldenTopic(), {
			name: "notify", form: `notify "kind" "name"`, summary: "Who is told of the runs: a chat, a pager, a collector",
			text:    "Every scenario tells all that are declared, unless it says notify = [notify.name], or [] for nobody. A receiver that fails or hangs never changes a verdict and never delays mending; what could not be delivered is named at the end and in the report. plan and validate send nothing.",
			structs: []any{&notifyBlock{}}, title: "Delivery (every notify)",
		}, {
			name: "variable", form: `variable "name"`, summary: "A value that may be given from outside",
			text:    "The value comes from --var name=value, else from --var-file, else from GAMEDAY_VAR_name in the environment, else from default. The value null stands for leaving the attribute out in which the variable is used.",
			structs: []any{&variableBlock{}},
			more: []AttributeDoc{
				{Name: "type", Type: "a type", Default: "any", Doc: "What values it takes, without quotes: string, number, bool, list(string), map(number), object({ name = string })."},
				{Name: "default", Type: "a value", Doc: "The value where none is given from outside. Without a default, one must be given.", Example: `"300ms"`},
				{Name: "validation", Type: "a block", Block: true, Repeated: true, Doc: "Refuses values.", Inner: describer{}.attributes(&validationBlock{})},
			},
		}, {
			name: "locals", form: "locals", summary: "Values with a name, to be written once",
			text:    "locals { name = expression } is referred to as local.name. Locals may refer to variables, connections and each other.",
			example: "locals {\n  shop = \"http://127.0.0.1:8080\"\n  door = \"${local.shop}/healthz\"\n}",
		},
	}
}

// family is a table of kinds and the topic that its blocks begin with.
type family struct {
	topic string
	kinds []row
}

func (l Language) families() []family {
	return []family{{"fault", rows(l.Faults)}, {"guard", rows(l.Guards)}, {"probe", rows(l.Probes)}, {"sli", rows(l.SLIs)}, {"notify", rows(l.Receivers)}}
}

// Describe returns the description of every block and kind: the blocks of the
// language, then connections, faults, guards, probes, SLIs and receivers.
func (l Language) Describe() []BlockDoc {
	d := describer{language: l, examples: exampleBlocks(Examples)}
	var list []BlockDoc
	for _, t := range topics() {
		list = append(list, d.topic(t))
	}
	for _, kind := range rows(l.Connections) {
		list = append(list, d.connection(kind))
	}
	for _, f := range l.families() {
		for _, kind := range f.kinds {
			list = append(list, d.kind(f.topic, kind))
		}
	}
	return list
}

type describer struct {
	language Language
	examples []exampleBlock
}

func (d describer) topic(t topic) BlockDoc {
	doc := BlockDoc{Topic: t.name, Form: t.form, Summary: t.summary, Text: t.text, Example: cmp.Or(d.example(t.name, ""), t.example)}
	doc.Exports = t.exports
	if t.table != nil {
		doc.Groups = append(doc.Groups, Group{Attributes: d.attributes(t.table(d.language))})
	}
	for _, value := range t.structs {
		doc.Groups = append(doc.Groups, Group{Title: t.title, Attributes: slices.Concat(t.more, d.attributes(value))})
	}
	if t.kind != nil {
		own := &doc.Groups[len(doc.Groups)-1]
		own.Attributes = append(own.Attributes, d.attributes(t.kind(d.language).make())...)
	}
	return doc
}

func (d describer) connection(kind row) BlockDoc {
	return BlockDoc{
		Topic: kind.name, Form: kind.name + ` or ` + kind.name + ` "name"`, Summary: kind.summary,
		Groups:  []Group{{Attributes: d.attributes(kind.make())}},
		Exports: exportsOf(kind),
		Example: d.example(kind.name, ""),
	}
}

func (d describer) kind(family string, kind row) BlockDoc {
	form := family + ` "` + kind.name + `"`
	if family != "sli" {
		form += ` "name"`
	}
	doc := BlockDoc{
		Topic: family, Kind: kind.name, Form: form, Summary: kind.summary,
		Groups:  []Group{{Attributes: d.attributes(kind.make())}},
		Example: d.example(family, kind.name),
	}
	for _, t := range topics() {
		if t.name == family && t.title != "" {
			for _, value := range t.structs {
				doc.Groups = append(doc.Groups, Group{Title: t.title, Attributes: d.attributes(value)})
			}
		}
	}
	return doc
}

func (d describer) attributes(value any) []AttributeDoc {
	v, ok := structOf(value)
	if !ok {
		return nil
	}
	return d.describe(v.Type())
}

func (d describer) describe(t reflect.Type) []AttributeDoc {
	var list []AttributeDoc
	for _, a := range shapeOf(t) {
		doc := AttributeDoc{
			Name: a.name, Required: a.required, Block: a.block, Unit: a.unit, Enum: a.enum, Doc: a.doc,
			Default: a.written(a.fallback), Example: a.written(a.example), Type: typeName(a.typ),
		}
		if a.block {
			doc.Type = "a block"
			if _, label, labelled := labelOf(a.inner()); labelled {
				doc.Type = "a block with a " + label
			}
			doc.Repeated = a.typ.Kind() == reflect.Slice
			doc.Inner = d.describe(a.inner())
		} else if kind, isConnection := d.connectionKind(a.typ); isConnection {
			doc.Required = false
			doc.Type = "a reference to a " + kind
			doc.Default = "the " + kind + " that is declared, else the built-in one"
		}
		list = append(list, doc)
	}
	return list
}

func (d describer) connectionKind(t reflect.Type) (string, bool) {
	for _, kind := range rows(d.language.Connections) {
		if reflect.TypeOf(kind.make()) == t {
			return kind.name, true
		}
	}
	return "", false
}

// written brings the text of a tag into the form that a scenario has: texts and
// durations in quotes, numbers, lists, references and calls without.
func (a attribute) written(text string) string {
	if text == "" || a.block {
		return text
	}
	t := a.typ
	if t.Kind() == reflect.Pointer && scalar(t.Elem()) {
		t = t.Elem()
	}
	quoted := t == durationType || t == percentType || t == rangeType || t == secretType || t.Kind() == reflect.String && t != faultType
	if !quoted || isQuoted(text) || strings.HasPrefix(text, "env(") || strings.HasPrefix(text, "var.") {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${").Replace(text) + `"`
}

// isQuoted tells whether a text is one in quotes already.
func isQuoted(text string) bool {
	expression, diags := hclsyntax.ParseExpression([]byte(text), "text", hcl.InitialPos)
	_, isTemplate := expression.(*hclsyntax.TemplateExpr)
	return !diags.HasErrors() && isTemplate
}

// exampleBlock is a block of a shipped scenario.
type exampleBlock struct {
	topic, kind, text string
}

// exampleBlocks cuts the blocks out of all example files, in their order.
func exampleBlocks(files fs.FS) []exampleBlock {
	paths, err := fs.Glob(files, "examples/*.hcl")
	if err != nil {
		return nil
	}
	var list []exampleBlock
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err != nil || tooDeep(text) >= 0 {
			continue
		}
		parsed, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
		if diags.HasErrors() {
			continue
		}
		if body, ok := parsed.Body.(*hclsyntax.Body); ok {
			list = cut(list, text, body)
		}
	}
	return list
}

func cut(list []exampleBlock, text []byte, body *hclsyntax.Body) []exampleBlock {
	for _, block := range body.Blocks {
		one := exampleBlock{topic: block.Type, text: dedent(string(block.Range().SliceBytes(text)), block.TypeRange.Start.Column-1)}
		if len(block.Labels) > 0 {
			one.kind = block.Labels[0]
		} else if block.Type == "sli" {
			one.kind = DefaultSLI
		}
		list = append(list, one)
		list = cut(list, text, block.Body)
	}
	return list
}

// dedent moves all lines but the first to the left.
func dedent(text string, columns int) string {
	return strings.ReplaceAll(text, "\n"+strings.Repeat(" ", columns), "\n")
}

// example finds the first block of a topic, and of a kind if one is given.
func (d describer) example(topic, kind string) string {
	for _, block := range d.examples {
		if block.topic == topic && (kind == "" || block.kind == kind) {
			return block.text
		}
	}
	return ""
}
