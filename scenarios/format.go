package scenarios

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// ReadFile reads a file that Format is to lay out, and refuses what is not fit for it.
func ReadFile(name string) ([]byte, *Diagnostics) {
	var p problems
	text, err := readAtMost(name, maxSize)
	switch {
	case err != nil:
		p.errorf(hcl.Range{}, "Unreadable file", "%s cannot be read: %s.", name, cause(err))
	case len(text) > maxSize:
		p.errorf(hcl.Range{}, "File too large", "%s is larger than 1 MiB.", name)
	}
	return text, p.finish(map[string][]byte{name: text})
}

// Format brings a file into the canonical layout. A file that does not parse comes
// back as it is, with what is wrong with it.
func Format(name string, src []byte) ([]byte, *Diagnostics) {
	var p problems
	sources := map[string][]byte{name: src}
	if len(src) > maxSize {
		p.errorf(hcl.Range{}, "File too large", "%s is larger than 1 MiB.", name)
		return src, p.finish(sources)
	}
	if !p.readable(name, src) {
		return src, p.finish(sources)
	}
	if _, diags := parse(name, src); diags.HasErrors() {
		p.list = append(p.list, diags...)
		return src, p.finish(sources)
	}
	out := hclwrite.Format(src)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	return out, p.finish(sources)
}
