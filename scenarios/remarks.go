package scenarios

import (
	"github.com/hashicorp/hcl/v2"
)

// Remark is what is said of an slo by others than the language, such as a lint.
type Remark struct {
	SLO string
	// Attribute of the slo or of its sli block that it is about; where there is none of
	// that name, the remark is about the block.
	Attribute string
	Summary   string
	Detail    string
}

// Remarks gives remarks the places in the files that they are about, as warnings.
func (c *Configuration) Remarks(list []Remark) *Diagnostics {
	p := &pass{c: c}
	for _, remark := range list {
		p.warnf(c.sloRange(remark.SLO, remark.Attribute), remark.Summary, "%s", c.redact(remark.Detail))
	}
	return p.finish(c.sources)
}

// Place is where an attribute of an slo or of its sli stands, or the block where there is
// no such attribute. Line and column count from 1; they are 0 if there is no such slo.
func (c *Configuration) Place(slo, attribute string) (file string, line, column int) {
	at := c.sloRange(slo, attribute)
	return at.Filename, at.Start.Line, at.Start.Column
}

func (c *Configuration) sloRange(slo, attribute string) hcl.Range {
	for _, block := range c.slos {
		if len(block.Labels) != 1 || block.Labels[0] != slo {
			continue
		}
		if found := block.Body.Attributes[attribute]; found != nil {
			return found.Expr.Range()
		}
		for _, nested := range block.Body.Blocks {
			if nested.Type == "sli" {
				if found := nested.Body.Attributes[attribute]; found != nil {
					return found.Expr.Range()
				}
			}
		}
		return header(block)
	}
	return hcl.Range{}
}
