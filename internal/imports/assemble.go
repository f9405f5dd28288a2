package imports

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gameday-sh/gameday/internal/blocks"
)

// assemble names everything, ties references and makes blocks.
func (r *reader) assemble(result *Result, check Check) {
	r.nameAll()
	file := &result.File
	file.Comment = append(r.origin(), r.comments()...)
	var connections []blocks.Block
	for _, s := range r.sources {
		b := blocks.Block{Type: "prometheus", Labels: []string{s.id}, Comment: s.comments}
		b.SetText("url", s.url)
		connections = append(connections, b)
	}
	file.Blocks = append(file.Blocks, connections...)
	refused := r.refused(connections, check)
	for _, s := range r.slos {
		if s.sli == nil {
			s.reject("it has nothing to count: %s", s.why)
		} else if err := refused[s.at]; err != nil {
			s.reject("gameday would refuse it: %s", err)
		}
	}
	for _, s := range r.slos {
		b := s.block(true)
		r.depend(s, &b)
		if s.off {
			b.Off = true
			result.Kept++
		} else {
			result.SLOs++
		}
		file.Blocks = append(file.Blocks, b)
	}
	for _, p := range r.policies {
		b := p.block()
		if err := refused[p.at]; err != nil {
			p.at.note(Lost, "gameday would refuse it: %s; it is kept as a comment", err)
			b.Off = true
			result.Kept++
		} else {
			result.Policies++
		}
		file.Blocks = append(file.Blocks, b)
	}
	for _, b := range r.kept {
		result.Kept++
		file.Blocks = append(file.Blocks, b)
	}
}

// refused tells of what would not be valid why. What is asked about together and is
// valid need not be asked about one by one.
func (r *reader) refused(connections []blocks.Block, check Check) map[*node]error {
	var list []blocks.Block
	var at []*node
	for _, s := range r.slos {
		if s.sli != nil {
			list, at = append(list, s.block(false)), append(at, s.at)
		}
	}
	for _, p := range r.policies {
		list, at = append(list, p.block()), append(at, p.at)
	}
	found := map[*node]error{}
	var sift func(from, to int)
	sift = func(from, to int) {
		if from == to {
			return
		}
		err := check(blocks.File{Blocks: slices.Concat(connections, list[from:to])})
		switch {
		case err == nil:
		case to-from == 1:
			found[at[from]] = err
		default:
			sift(from, (from+to)/2)
			sift((from+to)/2, to)
		}
	}
	if check != nil {
		sift(0, len(list))
	}
	return found
}

// reject keeps an slo as a comment.
func (s *slo) reject(format string, values ...any) {
	why := fmt.Sprintf(format, values...)
	s.at.note(Lost, "the slo %q is kept as a comment: %s", s.id, why)
	s.comments = append(s.comments, "Not carried over: "+why)
	s.off = true
}

// origin says where the file comes from.
func (r *reader) origin() []string {
	var names []string
	for _, doc := range r.docs {
		if !slices.Contains(names, doc.file) {
			names = append(names, doc.file)
		}
	}
	return []string{"Made by gameday import from " + strings.Join(names, ", ") + "."}
}

func (r *reader) comments() []string {
	if len(r.head) == 0 {
		return nil
	}
	return append([]string{""}, r.head...)
}

// block makes a block; without references it can be checked by itself.
func (s *slo) block(references bool) blocks.Block {
	b := blocks.Block{Type: "slo", Labels: []string{s.id}, Comment: s.comments}
	if references && identifier(s.name) == s.id && s.name != s.id && s.description != s.name {
		b.Comment = append([]string{s.name}, b.Comment...)
	}
	b.SetText("description", s.description)
	if s.objective != nil {
		b.SetText("objective", percentText(s.objective))
	}
	if s.calendar == nil {
		b.SetText("window", s.window)
	}
	b.SetText("owner", s.owner)
	b.SetText("runbook", s.runbook)
	if len(s.labels) > 0 {
		var entries blocks.Map
		for _, l := range s.labels {
			entries = append(entries, blocks.Attribute{Name: l.name, Value: blocks.Text(l.value)})
		}
		b.Set("labels", entries)
	}
	if references && s.policy != nil {
		b.Set("policy", blocks.Reference("error_budget_policy."+s.policy.id))
	}
	if s.calendar != nil {
		inner := blocks.Block{Type: "calendar"}
		inner.SetText("period", s.calendar.period)
		inner.SetText("zone", s.calendar.zone)
		inner.SetText("start", s.calendar.start)
		b.Blocks = append(b.Blocks, inner)
	}
	if s.sli != nil {
		inner := blocks.Block{Type: "sli"}
		if s.sli.kind != "" {
			inner.Labels = []string{s.sli.kind}
		}
		if s.source != "" {
			inner.Set("prometheus", blocks.Reference("prometheus."+s.source))
		}
		inner.Attributes = append(inner.Attributes, s.sli.attributes...)
		b.Blocks = append(b.Blocks, inner)
	}
	return b
}

// depend ties an slo to those that it names.
func (r *reader) depend(s *slo, b *blocks.Block) {
	var list blocks.List
	var unknown []string
	for _, n := range s.depends {
		name := n.text()
		i := slices.IndexFunc(r.slos, func(other *slo) bool {
			return other != s && !other.off && (other.name == name || other.id == identifier(name))
		})
		switch {
		case i < 0:
			unknown = append(unknown, name)
			n.note(Lost, "there is no slo %q to depend on; kept as a comment", name)
		case !s.off && r.slos[i].reaches(r, s):
			unknown = append(unknown, name)
			n.note(Lost, "%q depends on this one; kept as a comment, as dependencies may not go in a circle", name)
		default:
			list = append(list, blocks.Reference("slo."+r.slos[i].id))
			s.tied = append(s.tied, r.slos[i])
		}
	}
	if len(list) > 0 {
		b.Set("depends_on", list)
	}
	if len(unknown) > 0 {
		b.Comment = append(b.Comment, "Depends on "+strings.Join(unknown, ", "))
	}
}

// reaches tells whether an slo depends on another, through others or not.
func (s *slo) reaches(r *reader, other *slo) bool {
	if s == other {
		return true
	}
	return slices.ContainsFunc(s.tied, func(next *slo) bool { return next.reaches(r, other) })
}

func (p *policy) block() blocks.Block {
	b := blocks.Block{Type: "error_budget_policy", Labels: []string{p.id}, Comment: p.comments}
	b.SetText("description", p.description)
	for _, one := range p.bands {
		inner := blocks.Block{Type: "band", Labels: []string{one.name}}
		if one.atLeast != nil {
			inner.SetText("at_least", percentText(one.atLeast))
		}
		allows := blocks.List{}
		for _, purpose := range one.allows {
			allows = append(allows, blocks.Text(purpose))
		}
		inner.Set("allows", allows)
		if len(one.actions) > 0 {
			actions := blocks.List{}
			for _, action := range one.actions {
				actions = append(actions, blocks.Text(action))
			}
			inner.Set("actions", actions)
		}
		b.Blocks = append(b.Blocks, inner)
	}
	b.Blocks = append(b.Blocks, p.alerts...)
	return b
}

// nameAll gives each thing a name that can stand in a reference, and that no other of
// its sort has.
func (r *reader) nameAll() {
	slos, policies, sources := newNames("slo"), newNames("policy"), newNames("prometheus")
	for _, s := range r.slos {
		s.id = slos.claim(s.at, s.name, s.prefix)
	}
	for _, p := range r.policies {
		p.id = policies.claim(p.at, p.name, "")
	}
	ids := map[string]string{}
	for _, s := range r.sources {
		s.id = sources.claim(s.at, s.name, "")
		ids[s.name] = s.id
	}
	for _, s := range r.slos {
		s.source = ids[s.source]
	}
}

// names are those of one sort of thing.
type names struct {
	sort  string
	taken map[string]*node
	last  map[string]int // number that was last put behind a name
}

func newNames(sort string) *names {
	return &names{sort: sort, taken: map[string]*node{}, last: map[string]int{}}
}

// claim finds a name, and says where it is not the one that was written.
func (l *names) claim(at *node, name, prefix string) string {
	id := identifier(name)
	if id == "" {
		id = l.sort
	}
	first, collides := l.taken[id]
	if collides && identifier(prefix) != "" {
		id = identifier(prefix) + "-" + id
	}
	base := id
	for l.taken[id] != nil {
		l.last[base] = max(2, l.last[base]+1)
		id = fmt.Sprintf("%s-%d", base, l.last[base])
	}
	l.taken[id] = at
	switch {
	case collides:
		at.changed("the name %q is taken by what stands in %s on line %d: this one is named %s", name, first.file, first.line, id)
	case id != name:
		at.changed("%q cannot stand in a reference: it is named %s", name, id)
	}
	return id
}

var dashes = pattern(`-{2,}`)

// identifier makes a name that can stand in a reference: "API Availability" becomes
// api-availability, and web-availability stays as it is. It is empty where nothing of
// the name can be kept.
func identifier(name string) string {
	const longest = 100
	fits := func(r rune) bool {
		return r == '_' || r == '-' || r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
	}
	id := name
	if strings.ContainsFunc(name, func(r rune) bool { return !fits(r) }) {
		id = strings.Map(func(r rune) rune {
			if fits(r) {
				return r
			}
			return '-'
		}, strings.ToLower(name))
		id = dashes().ReplaceAllString(id, "-")
	}
	id = strings.Trim(id, "-")
	if len(id) > longest {
		id = strings.TrimRight(id[:longest], "-")
	}
	if id != "" && id[0] >= '0' && id[0] <= '9' {
		id = "slo-" + id
	}
	return id
}
