package scenarios

import (
	"reflect"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Configuration is what one file or directory declares.
type Configuration struct {
	language Language
	options  Options
	source   experiments.Source
	sources  map[string][]byte // by the names in diagnostics
	base     map[string]string // name in diagnostics -> name in Source

	connectionKinds, probeKinds, sliKinds, faultKinds, guardKinds, receiverKinds []row
	connectionTypes                                                              map[reflect.Type]string
	shapes                                                                       map[reflect.Type]shape
	functions                                                                    map[string]function.Function

	variables   []*variable
	locals      []*local
	connections []*connection
	slos        []*hclsyntax.Block
	probes      []*hclsyntax.Block // and journeys: all that takes measurements
	golden      []*hclsyntax.Block
	policies    []*hclsyntax.Block
	notifies    []*hclsyntax.Block
	scenarios   []*hclsyntax.Block
	declared    map[string]hcl.Range // address -> where it was declared first
	order       []node               // locals and connections, each after what it refers to

	used   map[string]bool         // addresses that something refers to
	bad    map[hcl.Expression]bool // expressions with a reference to nothing
	loaded *Diagnostics

	// What a wrong block would have declared is not missing as well: uncertain has the
	// first words of such references, and partial tells that a file could not be read.
	uncertain map[string]bool
	partial   bool

	effort      *effort // of the pass that is going on
	localByName map[string]*local
	varByName   map[string]*variable

	secrets []string
	public  []string // texts that nonsensitive() let through

	known *pass // made by Open
	draft Draft
}

// Draft is the scenarios of a configuration as far as they are known while no
// connection is open.
type Draft struct {
	Experiments []*experiments.Experiment
	// SLOs and Policies are all that are declared, in the order of the files.
	SLOs     []*experiments.SLO
	Policies []*experiments.Policy
	// Unsettled names the attributes of a fault or a probe, by its origin, that are not
	// known yet: they are zero.
	Unsettled map[string][]string
}

// Draft is made by Load, without a network. It means something if the diagnostics
// have no errors.
func (c *Configuration) Draft() Draft { return c.draft }

// unsettle notes the attributes of a block that are not known yet.
func (p *pass) unsettle(origin string, out *outcome) {
	if p.unsettled == nil {
		return
	}
	for name := range out.unknown {
		p.unsettled[origin] = append(p.unsettled[origin], name)
	}
	slices.Sort(p.unsettled[origin])
}

// Source is the exact text of the configuration.
func (c *Configuration) Source() experiments.Source { return c.source }

// Scenarios returns the names of the scenarios, in the order of the files.
func (c *Configuration) Scenarios() []string {
	list := make([]string, 0, len(c.scenarios))
	for _, block := range c.scenarios {
		if len(block.Labels) == 1 {
			list = append(list, block.Labels[0])
		}
	}
	return list
}

// Secrets returns the texts that must reach neither a file nor a screen: values of
// env() and of sensitive variables, and what was written into attributes for
// secrets. The longest come first, so that replacing one by one leaves no rest.
func (c *Configuration) Secrets() []string {
	list := slices.DeleteFunc(slices.Clone(c.secrets), func(text string) bool { return slices.Contains(c.public, text) })
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(list)
}

// Given returns what --var or the environment said of variables, as name=value in the
// order of the declarations, and apart from that the names of the sensitive ones among
// them. Values from files of variables are not in it.
func (c *Configuration) Given() (settings, sensitive []string) {
	for _, v := range c.variables {
		switch {
		case v.given == nil:
		case v.sensitive:
			sensitive = append(sensitive, v.name)
		default:
			settings = append(settings, v.name+"="+*v.given)
		}
	}
	return settings, sensitive
}

func (c *Configuration) keepSecret(text string) {
	if text != "" && !slices.Contains(c.secrets, text) {
		c.secrets = append(c.secrets, text)
	}
}

// keepSecrets keeps every text within a value.
func (c *Configuration) keepSecrets(value cty.Value) {
	bare, _ := value.UnmarkDeep()
	if !bare.IsWhollyKnown() {
		return
	}
	// The walk fails only where its callback does.
	_ = cty.Walk(bare, func(_ cty.Path, part cty.Value) (bool, error) {
		if !part.IsNull() && part.Type() == cty.String {
			c.keepSecret(part.AsString())
		}
		return true, nil
	})
}

// redact replaces secrets in a text that may quote values.
func (c *Configuration) redact(text string) string {
	for _, secret := range c.Secrets() {
		text = strings.ReplaceAll(text, secret, "(secret)")
	}
	return text
}

// shape returns the attributes of a struct type.
func (c *Configuration) shape(t reflect.Type) shape {
	s, found := c.shapes[t]
	if !found {
		s = shapeOf(t)
		c.shapes[t] = s
	}
	return s
}

// connectionKind tells of which kind of connection a field's type is.
func (c *Configuration) connectionKind(t reflect.Type) (string, bool) {
	kind, found := c.connectionTypes[t]
	return kind, found
}

// origin writes a place as results name it: "shop.hcl:12", without folders.
func (c *Configuration) origin(at hcl.Range) string {
	at.Filename = c.base[at.Filename]
	return place(at)
}
