package scenarios

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

const (
	// mostEffort is what evaluating a configuration may cost, in bytes that are read
	// or made; a few lines with loops in loops can ask for more than any machine has.
	mostEffort = 256 << 20
	// roundEffort is the cost of a round of a loop, above that of its text.
	roundEffort = 1024
	// numberEffort is the cost of writing a number out.
	numberEffort = 4096
	// mostDigits limits numbers: 1e99999999 is short, and writing it out is not.
	mostDigits = 1000
)

const (
	tooMuchSummary = "Too much to evaluate"
	tooMuchDetail  = "The loops and texts of this configuration would take too much time or memory. Write fewer rounds, or shorter texts."
)

// errTooMuch is what a function says where there is no effort left.
var errTooMuch = errors.New("too much to evaluate")

// effort counts what an evaluation costs.
type effort struct {
	spent int
	told  bool
}

// spend adds a cost. It is false where there is no more to spend.
func (e *effort) spend(cost int) bool {
	if cost < 0 || cost > mostEffort-e.spent {
		e.spent = mostEffort
		return false
	}
	e.spent += cost
	return true
}

// tell makes the diagnostic, for the first who asks.
func (e *effort) tell(at hcl.Range) hcl.Diagnostics {
	if e.told {
		return nil
	}
	e.told = true
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: tooMuchSummary, Detail: tooMuchDetail, Subject: &at}}
}

// metered is an expression whose value costs something.
type metered struct {
	*hclsyntax.ParenthesesExpr // so that walks over the syntax find what is within
	c                          *Configuration
	cost                       func(cty.Value) int
}

func (m *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := m.ParenthesesExpr.Value(ctx)
	bare, _ := value.Unmark()
	if !bare.IsKnown() || bare.IsNull() || m.c.effort.spend(m.cost(bare)) {
		return value, diags
	}
	return cty.DynamicVal, append(diags, m.c.effort.tell(m.Range())...)
}

// meter makes the loops and templates of a body count what they cost, and reports
// numbers that are too large to be worked with. It is false if there is one.
func (p *pass) meter(body *hclsyntax.Body) (fine bool) {
	fine = true
	within := func(expression hclsyntax.Expression, cost func(cty.Value) int) hclsyntax.Expression {
		return &metered{&hclsyntax.ParenthesesExpr{Expression: expression, SrcRange: expression.Range()}, p.c, cost}
	}
	hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.ForExpr:
			each := roundEffort + node.ValExpr.Range().End.Byte - node.ValExpr.Range().Start.Byte
			node.CollExpr = within(node.CollExpr, func(value cty.Value) int {
				if !value.CanIterateElements() {
					return 0
				}
				return value.LengthInt() * each
			})
		case *hclsyntax.TemplateExpr:
			for i, part := range node.Parts {
				if literal, fixed := part.(*hclsyntax.LiteralValueExpr); !fixed || literal.Val.Type() == cty.Number {
					node.Parts[i] = within(part, func(value cty.Value) int {
						if value.Type() == cty.Number {
							return numberEffort
						}
						return size(value)
					})
				}
			}
		case *hclsyntax.LiteralValueExpr:
			if node.Val.Type() == cty.Number && node.Val.IsKnown() && !node.Val.IsNull() && unwieldy(node.Val.AsBigFloat()) {
				p.errorf(node.SrcRange, "Number too large", "A number may have %d digits, before and behind its point.", mostDigits)
				node.Val = cty.UnknownVal(cty.Number)
				fine = false
			}
		}
		return nil
	})
	return fine
}

// unwieldy tells whether a number has too many digits to be written out.
func unwieldy(number *big.Float) bool {
	const bitsPerDigit = 4 // a little more than there are
	exponent := number.MantExp(nil)
	return number.IsInf() || exponent > bitsPerDigit*mostDigits || exponent < -bitsPerDigit*mostDigits
}

// unwieldyWithin tells whether a number within a value is unwieldy.
func unwieldyWithin(value cty.Value) bool {
	found := false
	bare, _ := value.UnmarkDeep()
	// The walk fails only where its callback does.
	_ = cty.Walk(bare, func(_ cty.Path, part cty.Value) (bool, error) {
		if part.Type() == cty.Number && part.IsKnown() && !part.IsNull() && unwieldy(part.AsBigFloat()) {
			found = true
		}
		return !found, nil
	})
	return found
}

// meteredFunction makes a function count what it reads and makes.
func (c *Configuration) meteredFunction(name string, f function.Function) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			cost := extraCost(name, args)
			for _, arg := range args {
				cost += size(arg)
			}
			if !c.effort.spend(cost) {
				return cty.NilType, errTooMuch
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			value, err := f.Call(args)
			if err != nil {
				return value, err
			}
			if unwieldyWithin(value) {
				return cty.NilVal, fmt.Errorf("the result is infinite, or has more than %d digits", mostDigits)
			}
			return value, nil
		},
	})
}

// width matches a width or precision in a format.
var width = regexp.MustCompile(`%[^a-zA-Z%]*`)
var digits = regexp.MustCompile(`[0-9]+`)

// extraCost is what a function makes of its arguments where that is not about as
// much as the arguments themselves.
func extraCost(name string, args []cty.Value) int {
	text := func(i int) string {
		if i >= len(args) {
			return ""
		}
		bare, _ := args[i].Unmark()
		if !bare.IsKnown() || bare.IsNull() || bare.Type() != cty.String {
			return ""
		}
		return bare.AsString()
	}
	longest := 1
	for _, arg := range args {
		bare, _ := arg.Unmark()
		if bare.IsKnown() && bare.CanIterateElements() {
			longest = max(longest, bare.LengthInt())
		}
	}
	switch name {
	case "replace":
		return (strings.Count(text(0), text(1)) + 1) * len(text(2))
	case "join":
		return longest * len(text(0))
	case "format", "formatlist":
		each := 0
		for _, verb := range width.FindAllString(text(0), -1) {
			for _, number := range digits.FindAllString(verb, -1) {
				n, err := strconv.Atoi(number)
				if err != nil {
					return mostEffort + 1
				}
				each += n
			}
		}
		for i := range args {
			each += len(text(i))
		}
		return longest * each
	}
	return 0
}
