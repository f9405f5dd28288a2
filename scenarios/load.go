package scenarios

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxSize is the most bytes that a file may have.
const maxSize = 1 << 20

// Load reads a file, or the .hcl files of a directory as one configuration, and
// checks everything that can be checked without a network. The configuration is
// never nil; it can be opened if the diagnostics have no errors.
func (l Language) Load(path string, options Options) (*Configuration, *Diagnostics) {
	p := l.begin(options)
	return p.load(p.files(path))
}

// LoadText is Load of one file whose text is at hand.
func (l Language) LoadText(name string, text []byte, options Options) (*Configuration, *Diagnostics) {
	p := l.begin(options)
	return p.load(p.files(name, text))
}

func (l Language) begin(options Options) *pass {
	c := &Configuration{
		language:        l,
		options:         options,
		sources:         map[string][]byte{},
		base:            map[string]string{},
		connectionKinds: rows(l.Connections),
		probeKinds:      rows(l.Probes),
		sliKinds:        rows(l.SLIs),
		faultKinds:      rows(l.Faults),
		guardKinds:      rows(l.Guards),
		receiverKinds:   rows(l.Receivers),
		connectionTypes: map[reflect.Type]string{},
		shapes:          map[reflect.Type]shape{},
		declared:        map[string]hcl.Range{},
		used:            map[string]bool{},
		bad:             map[hcl.Expression]bool{},
		uncertain:       map[string]bool{},
		effort:          &effort{},
		localByName:     map[string]*local{},
		varByName:       map[string]*variable{},
	}
	for _, kind := range c.connectionKinds {
		c.connectionTypes[reflect.TypeOf(kind.make())] = kind.name
	}
	c.functions = c.makeFunctions()
	return &pass{c: c, locals: map[string]cty.Value{}, failedLocals: map[string]bool{}, broken: map[string]int{}, unsettled: map[string][]string{}}
}

func (p *pass) load(files []file) (*Configuration, *Diagnostics) {
	c := p.c
	bodies := p.parse(files)
	c.source.Digest = digest(c.source.Files)
	p.collect(bodies)
	p.readVariables()
	p.checkReferences()
	for _, n := range c.nodes() {
		p.visit(n, nil)
	}
	p.declare()
	c.draft.SLOs, c.draft.Policies = p.listed()
	for _, block := range c.scenarios {
		c.draft.Experiments = append(c.draft.Experiments, p.scenario(block))
	}
	c.draft.Unsettled = p.unsettled
	p.settle()
	if !p.list.HasErrors() {
		// What is wrong may be the very place that was to use it.
		p.unused()
	}
	c.loaded = p.finish(c.sources)
	return c, c.loaded
}

// file is a file that was read.
type file struct {
	name string // as diagnostics show it
	text []byte
}

// files reads what path stands for, or takes its text if that is given. What cannot
// be read is reported.
func (p *pass) files(path string, text ...[]byte) []file {
	if len(text) > 0 {
		p.c.sources[path] = text[0]
		if !p.readable(path, text[0]) {
			return nil
		}
		return []file{p.file(path, text[0])}
	}
	info, err := os.Stat(path)
	if err != nil {
		summary := "Unreadable path"
		if errors.Is(err, fs.ErrNotExist) {
			summary = "No such file or directory"
		}
		p.errorf(hcl.Range{}, summary, "%s cannot be read: %s. Give the path of an .hcl file, or of a directory that holds some.", path, cause(err))
		return nil
	}
	paths := []string{path}
	if info.IsDir() {
		paths, err = FilesOf(path)
		if err != nil {
			p.errorf(hcl.Range{}, "Unreadable directory", "%s cannot be read: %s.", path, cause(err))
			return nil
		}
		if len(paths) == 0 {
			p.errorf(hcl.Range{}, "Empty directory", "%s holds no .hcl file. A directory is one configuration, made of its .hcl files; folders within it are not read.", path)
			return nil
		}
	}
	var list []file
	for _, name := range paths {
		// A path that is given may be a pipe; one that happens to lie in a directory
		// would be waited for.
		if info.IsDir() && !isRegular(name) {
			p.errorf(hcl.Range{}, "Unreadable file", "%s is not a file that can be read. Take it out of the directory, or give it another name.", name)
			p.c.partial = true
			continue
		}
		if text, ok := p.read(name); ok {
			list = append(list, p.file(name, text))
		} else {
			p.c.partial = true
		}
	}
	return list
}

// FilesOf lists the files of a directory that are read as one configuration: those
// that end in .hcl and do not begin with a dot.
func FilesOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if !entry.IsDir() && filepath.Ext(entry.Name()) == ".hcl" && !strings.HasPrefix(entry.Name(), ".") {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths, nil
}

// file notes a file as a part of the source.
func (p *pass) file(name string, text []byte) file {
	p.c.base[name] = filepath.Base(name)
	p.c.source.Files = append(p.c.source.Files, experiments.SourceFile{Name: filepath.Base(name), Text: string(text)})
	return file{name, text}
}

// isRegular tells whether a path is a file, and no pipe, device or directory.
func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// read reads one file and refuses what the parser should not see.
func (p *pass) read(name string) ([]byte, bool) {
	text, err := readAtMost(name, maxSize)
	if err != nil {
		p.errorf(hcl.Range{}, "Unreadable file", "%s cannot be read: %s.", name, cause(err))
		return nil, false
	}
	if len(text) > maxSize {
		p.errorf(hcl.Range{}, "File too large", "%s is larger than 1 MiB. Split the configuration into several files of one directory.", name)
		return nil, false
	}
	p.c.sources[name] = text
	return text, p.readable(name, text)
}

// readable tells whether a text is fit for the parser.
func (p *problems) readable(name string, text []byte) bool {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		p.errorf(hcl.Range{}, "Byte order mark", "%s begins with a byte order mark. Save it as UTF-8 without one.", name)
	case bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")):
		p.errorf(hcl.Range{}, "Not UTF-8", "%s is UTF-16. Save it as UTF-8.", name)
	case !utf8.Valid(text):
		offset := 0
		for offset < len(text) {
			r, size := utf8.DecodeRune(text[offset:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			offset += size
		}
		at := position(name, text, offset)
		p.errorf(at, "Not UTF-8", "The byte 0x%02x at line %d, column %d is not UTF-8. Save the file as UTF-8.", text[offset], at.Start.Line, at.Start.Column)
	case bytes.ContainsFunc(text, isControl):
		offset := bytes.IndexFunc(text, isControl)
		p.errorf(position(name, text, offset), "Control character", "A control character (0x%02x) stands here, which is not seen. Take it out; in a text, write an escape such as \\u%04x.", text[offset], text[offset])
	default:
		offset, long := tooMuch(text)
		if long {
			p.errorf(position(name, text, offset), "Heredoc too long", "A heredoc may have %d lines. Split it into several.", maxLines)
			return false
		}
		if offset >= 0 {
			p.errorf(position(name, text, offset), "Nested too deeply", "Brackets may nest %d deep, and an expression may chain %d operators. Take the inner parts out into locals.", maxDepth, maxChain)
			return false
		}
		return true
	}
	return false
}

// isControl tells what no text file holds: NUL, escape and others that are not seen.
func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }

// readAtMost reads a file, and one byte more than most if it has more.
func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	return text, errors.Join(err, f.Close())
}

// position makes the range of the character at an offset.
func position(name string, text []byte, offset int) hcl.Range {
	offset = min(offset, max(0, len(text)-1))
	before := text[:offset]
	line := bytes.LastIndexByte(before, '\n') + 1
	start := hcl.Pos{Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(before[line:]), Byte: offset}
	end := start
	end.Byte++
	end.Column++
	return hcl.Range{Filename: name, Start: start, End: end}
}

// cause is the reason within a file error, without the path.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func (p *pass) parse(files []file) []*hclsyntax.Body {
	var bodies []*hclsyntax.Body
	for _, f := range files {
		body, diags := parse(f.name, f.text)
		if diags.HasErrors() {
			p.c.partial = true
			p.broken[f.name] = doubtful(f.text, body, diags)
			p.syntax = append(p.syntax, diags...)
		}
		if body != nil {
			p.meter(body)
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// settle puts the syntax errors in the place of what follows from them.
func (p *pass) settle() {
	p.list = slices.DeleteFunc(p.list, func(d *hcl.Diagnostic) bool {
		if d.Subject == nil {
			return false
		}
		from, broken := p.broken[d.Subject.Filename]
		return broken && d.Subject.Start.Byte >= from
	})
	p.list = append(p.list, p.syntax...)
}

// digest is over the names and texts, each with its length before it, so that no
// two sets of files give the same bytes.
func digest(files []experiments.SourceFile) string {
	hash := sha256.New()
	part := func(text string) {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		hash.Write([]byte(text))
	}
	for _, f := range files {
		part(f.Name)
		part(f.Text)
	}
	return fmt.Sprintf("sha256:%x", hash.Sum(nil))
}

// unused warns about what is declared and referred to by nothing.
func (p *pass) unused() {
	c := p.c
	for _, v := range c.variables {
		if !c.used["var."+v.name] {
			p.warnf(header(v.block), "Unused variable", "Nothing refers to var.%s. Use it, or take it out.", v.name)
		}
	}
	if len(c.scenarios) == 0 {
		return // a library: others may use what it declares
	}
	for _, block := range slices.Concat(c.slos, c.probes, c.golden, c.policies, c.notifies) {
		address := addressOf(block)
		switch {
		case c.used[address]:
		case block.Type == "notify":
			p.warnf(header(block), "Unused "+block.Type, "Every scenario says whom it tells, and none names %s. Write notify = [%s] in one, or take it out.", address, address)
		case block.Type == "error_budget_policy":
			p.warnf(header(block), "Unused "+block.Type, "Nothing refers to %s, so it decides nothing. Write policy = %s in a scenario or an slo, or take it out.", address, address)
		default:
			p.warnf(header(block), "Unused "+block.Type, "Nothing refers to %s, so it is not measured. Use it in a hypothesis or a guard, or take it out.", address)
		}
	}
}
