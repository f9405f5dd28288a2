package experiments

// A Kind is a row in a table of faults, probes, guards or connections: what a
// scenario writes as the first label of a block.
//
// New returns a pointer to a struct whose exported fields are the attributes of
// the block, described by tags:
//
//	hcl      "latency" (required), "jitter,optional", "tls,block"; in a block within
//	         the block "name,label" is the text behind its type: step "name" { }
//	doc      one sentence for `gameday explain`
//	default  the value of an optional attribute, as a scenario would write it
//	unit     for plain numbers: "KB/s"
//	enum     the texts allowed: "downstream|upstream"
//	example  a value for the documentation where the default does not serve
//
// The types a field may have: string, bool, int, float64, time.Duration,
// [Percent], [Range], [Secret], []string, map[string]string, map[string]Secret,
// *SLO, *Probed, *GoldenSignals, a pointer to a connection's struct, and, for blocks, a
// pointer to or a slice of a struct of the same sort; in the steps of a journey also
// [Template] and map[string]Template. A pointer to a number, duration or percent stays
// nil where the attribute is left out. An embedded struct without a tag stands for its
// fields.
//
// A struct that implements [Validator] is asked after decoding.
type Kind[T any] struct {
	Name    string // "toxiproxy_latency"
	Summary string // one line: "Answers arrive late"
	New     func() T
}

// Find looks a kind up by name.
func Find[T any](kinds []Kind[T], name string) (Kind[T], bool) {
	for _, kind := range kinds {
		if kind.Name == name {
			return kind, true
		}
	}
	return Kind[T]{}, false
}

// A Validator checks what single attributes cannot show. Each problem names the
// attribute it is about, or "" for the whole block.
type Validator interface {
	Validate() []Problem
}

// Problem is one thing that is wrong with a block.
type Problem struct {
	Attribute string
	Summary   string // "Negative latency"
	Detail    string // what to write instead
}
