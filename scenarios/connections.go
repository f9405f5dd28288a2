package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// node is a local or a connection: what may refer to others of its sort.
type node interface {
	address() string
	at() hcl.Range
	progress() *visited
}

// visited tells how far the walk over the references has come with a node.
type visited struct{ begun, done bool }

// local is one value of a `locals` block.
type local struct {
	name      string
	attribute *hclsyntax.Attribute
	visited   visited
}

func (l *local) address() string    { return "local." + l.name }
func (l *local) at() hcl.Range      { return l.attribute.NameRange }
func (l *local) progress() *visited { return &l.visited }

// connection is a declared connection, or one that is implied because something
// needs it and none is declared: the built-in one.
type connection struct {
	kind    row
	name    string
	block   *hclsyntax.Block
	implied bool
	needed  hcl.Range // where an implied one is needed first
	visited visited
	// value is the newest decoding; nil where it failed.
	value experiments.Connection
	open  bool
}

func (c *connection) address() string {
	if c.name == "" {
		return c.kind.name
	}
	return c.kind.name + "." + c.name
}

func (c *connection) at() hcl.Range {
	if c.implied {
		return c.needed
	}
	return header(c.block)
}

func (c *connection) progress() *visited { return &c.visited }

// exportsOf names the values of a kind of connection.
func exportsOf(kind row) []string {
	if exporter, ok := kind.make().(experiments.Exporter); ok {
		return exporter.Exports()
	}
	return nil
}

// nodes lists locals and connections, as declared.
func (c *Configuration) nodes() []node {
	var list []node
	for _, l := range c.locals {
		list = append(list, l)
	}
	for _, instance := range c.connections {
		list = append(list, instance)
	}
	return list
}

// visit evaluates a node after everything it refers to, and reports a cycle with
// the names of all that are in it.
func (p *pass) visit(n node, path []node) bool {
	state := n.progress()
	if state.done {
		return true
	}
	path = append(path, n)
	if state.begun {
		first := 0
		for path[first] != n {
			first++
		}
		var cycle []string
		for _, member := range path[first:] {
			cycle = append(cycle, member.address())
		}
		p.errorf(n.at(), "Reference cycle", "%s: each needs the next to be known first. Take one of these references out.", strings.Join(cycle, " -> "))
		return false
	}
	state.begun = true
	fine := true
	for _, next := range p.needs(n) {
		fine = p.visit(next, path) && fine
	}
	state.done = true
	p.c.order = append(p.c.order, n)
	if fine {
		p.evaluateNode(n)
	}
	return fine
}

// needs lists the nodes that must be known before n.
func (p *pass) needs(n node) []node {
	var list []node
	switch n := n.(type) {
	case *local:
		list = p.c.referred(n.attribute.Expr)
	case *connection:
		list = p.c.referredBody(n.block.Body)
		v, ok := structOf(n.kind.make())
		if !ok {
			return list
		}
		for _, a := range p.c.shape(v.Type()) {
			kind, isConnection := p.c.connectionKind(a.typ)
			if !isConnection || n.block.Body.Attributes[a.name] != nil {
				continue
			}
			if instance, ok := p.choose(kind, n.at()); ok && instance != nil {
				list = append(list, instance)
			}
		}
	}
	return list
}

func (c *Configuration) referredBody(body *hclsyntax.Body) []node {
	var list []node
	for _, attribute := range inOrder(body.Attributes) {
		list = append(list, c.referred(attribute.Expr)...)
	}
	for _, block := range body.Blocks {
		list = append(list, c.referredBody(block.Body)...)
	}
	return list
}

// referred lists the locals and connections that an expression refers to.
func (c *Configuration) referred(expression hcl.Expression) []node {
	if c.bad[expression] {
		return nil
	}
	var list []node
	for _, traversal := range expression.Variables() {
		root := traversal.RootName()
		name, _, _ := step(traversal, 1)
		if root == "local" {
			if l, found := c.localByName[name]; found {
				list = append(list, l)
			}
			continue
		}
		var found *connection
		for _, instance := range c.connections {
			if instance.kind.name == root && (instance.name == name || instance.name == "" && found == nil) {
				found = instance
			}
		}
		if found != nil {
			list = append(list, found)
		}
	}
	return list
}

// evaluateNode gives a local its value, and a connection its attributes.
func (p *pass) evaluateNode(n node) *outcome {
	switch n := n.(type) {
	case *local:
		value, ok := p.evaluate(n.attribute.Expr, nil)
		if ok && size(value) > maxSize {
			p.errorf(n.at(), "Local too large", "The value of %s is larger than 1 MiB.", n.address())
			ok = false
		}
		if ok && unwieldyWithin(value) {
			p.errorf(n.at(), "Number too large", "In %s is a number that is infinite, or has more than %d digits.", n.address(), mostDigits)
			ok = false
		}
		if !ok {
			value = cty.DynamicVal
			p.failedLocals[n.name] = true
		}
		p.locals[n.name] = value
	case *connection:
		value := n.kind.make()
		made, isConnection := value.(experiments.Connection)
		if !isConnection {
			return nil
		}
		n.value = made
		what := n.kind.name
		if n.implied {
			what += " (the built-in one)"
		}
		out := p.body(n.block, what, nil, nil, value)
		p.validate(n.block, what, value, out)
		p.shaky = p.shaky || len(out.failed) > 0
		return out
	}
	return nil
}

// size estimates how much room a value takes: locals that double each other ten
// times over are a short file and a long text.
func size(value cty.Value) int {
	bare, _ := value.UnmarkDeep()
	sum := 0
	// The walk fails only where its callback does.
	_ = cty.Walk(bare, func(_ cty.Path, part cty.Value) (bool, error) {
		sum += 8
		if part.IsKnown() && !part.IsNull() && part.Type() == cty.String {
			sum += len(part.AsString())
		}
		return sum <= maxSize, nil
	})
	return sum
}

// choose picks the connection of a kind that is meant where none is named: the one
// without a name, else the only one, else the built-in one. It is nil, false where
// several are declared.
func (p *pass) choose(kind string, at hcl.Range) (*connection, bool) {
	var only *connection
	several := false
	for _, instance := range p.c.connections {
		if instance.kind.name != kind {
			continue
		}
		if instance.name == "" {
			return instance, true
		}
		several = several || only != nil
		only = instance
	}
	if several {
		return nil, false
	}
	if only != nil {
		return only, true
	}
	row, found := findRow(p.c.connectionKinds, kind)
	if !found {
		return nil, false
	}
	implied := &connection{kind: row, implied: true, needed: at, block: &hclsyntax.Block{Type: kind, Body: &hclsyntax.Body{}, TypeRange: at}}
	p.c.connections = append(p.c.connections, implied)
	return implied, true
}

// defaultConnection is choose for an attribute that was left out; what it picks is
// ready to be pointed to.
func (p *pass) defaultConnection(kind, attribute, what string, at hcl.Range) (*connection, bool) {
	instance, ok := p.choose(kind, at)
	if !ok {
		declared := prefixed(kind+".", p.c.declaredNames(kind))
		p.errorf(at, "Which "+kind+"?", "Several are declared and none is without a name, so %s must say which it uses: write %s = %s (there is: %s).", what, attribute, declared[0], enumerate(declared))
		return nil, false
	}
	if !p.open {
		p.visit(instance, nil)
	}
	return instance, true
}

// connectionObject is what a reference that begins with a kind is resolved in: the
// values of the connection without a name, and the named ones.
func (p *pass) connectionObject(kind string) cty.Value {
	members := map[string]cty.Value{}
	for _, instance := range p.c.connections {
		if instance.kind.name != kind || instance.implied {
			continue
		}
		values := members
		if instance.name != "" {
			values = map[string]cty.Value{}
		}
		values[selfKey] = cty.CapsuleVal(handleType, &handle{instance.address(), instance})
		for _, export := range exportsOf(instance.kind) {
			values[export] = p.export(instance, export)
		}
		if instance.name != "" {
			members[instance.name] = cty.ObjectVal(values)
		}
	}
	return cty.ObjectVal(members)
}

// export gives a value of a connection, unknown until it is open.
func (p *pass) export(instance *connection, name string) cty.Value {
	exporter, ok := instance.value.(experiments.Exporter)
	if !ok || !instance.open || !p.open {
		return cty.UnknownVal(cty.String)
	}
	return cty.StringVal(exporter.Export(name))
}

// Connections returns the connections of a configuration, declared and implied, in
// the order in which Open opens them.
func (c *Configuration) Connections() []experiments.Connection {
	var list []experiments.Connection
	for _, n := range c.order {
		if instance, ok := n.(*connection); ok && instance.value != nil {
			list = append(list, instance.value)
		}
	}
	return list
}

// Open opens the connections, each after those it refers to. On failure it closes
// what it opened. An error that is a *Diagnostics tells of attributes that turned
// out wrong when their values became known.
func (c *Configuration) Open(ctx context.Context) error {
	return c.openThose(ctx, func(node) bool { return true })
}

// OpenSLOs opens what the queries of the slos are asked of, and nothing else: looking
// at a budget starts no sandbox and scrapes no target. A connection whose attributes
// only another one would tell, such as the address of a sandbox, stays closed too.
func (c *Configuration) OpenSLOs(ctx context.Context) error {
	asked := c.askedBySLOs()
	return c.openThose(ctx, func(n node) bool { return asked[n] })
}

// askedBySLOs finds the connections that sli blocks name, or use without naming them.
func (c *Configuration) askedBySLOs() map[node]bool {
	p := &pass{c: c, open: true}
	asked := map[node]bool{}
	for _, block := range c.slos {
		for _, sli := range block.Body.Blocks {
			name := DefaultSLI
			if len(sli.Labels) > 0 {
				name = sli.Labels[0]
			}
			kind, found := findRow(c.sliKinds, name)
			if sli.Type != "sli" || !found {
				continue
			}
			v, ok := structOf(kind.make())
			if !ok {
				continue
			}
			for _, a := range c.shape(v.Type()) {
				of, isConnection := c.connectionKind(a.typ)
				if !isConnection {
					continue
				}
				if written := sli.Body.Attributes[a.name]; written != nil {
					for _, n := range c.referred(written.Expr) {
						asked[n] = true
					}
				} else if instance, ok := p.choose(of, header(sli)); ok && instance != nil {
					asked[instance] = true
				}
			}
		}
	}
	return asked
}

// openThose evaluates all connections, and opens those that are wanted.
func (c *Configuration) openThose(ctx context.Context, wanted func(node) bool) error {
	if err := c.loaded.Err(); err != nil {
		return err
	}
	if c.known != nil {
		return errors.New("open the configuration: it is open already; close it first")
	}
	c.effort = &effort{}
	p := &pass{c: c, locals: map[string]cty.Value{}, failedLocals: map[string]bool{}, open: true}
	for _, n := range c.order {
		out := p.evaluateNode(n)
		err := p.finish(c.sources).Err()
		if instance, ok := n.(*connection); ok && err == nil && wanted(n) && (out == nil || len(out.unknown) == 0) {
			if err = instance.value.Open(ctx); err != nil {
				err = fmt.Errorf("open %s: %w", instance.address(), err)
			}
			instance.open = err == nil
		}
		if err != nil {
			return errors.Join(err, c.Close())
		}
	}
	c.known = p
	return nil
}

// Close closes what Open opened, newest first.
func (c *Configuration) Close() error {
	var problems []error
	for i := len(c.order) - 1; i >= 0; i-- {
		instance, ok := c.order[i].(*connection)
		if !ok || !instance.open {
			continue
		}
		instance.open = false
		if err := instance.value.Close(); err != nil {
			problems = append(problems, fmt.Errorf("close %s: %w", instance.address(), err))
		}
	}
	c.known = nil
	return errors.Join(problems...)
}
