package local

import "sync"

// refusals remembers the hits that were refused before anything was done. The
// runner reverts a failed hit like any other, and a revert must not undo what
// somebody else did: wake a process that a person stopped, run a command against
// a thing that was never touched. A fresh process knows no refusals and reverts.
type refusals struct {
	mu   sync.Mutex
	hits map[string]bool
}

func (r *refusals) set(hit string, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hits == nil {
		r.hits = map[string]bool{}
	}
	r.hits[hit] = refused
}

// knows tells whether this process has tried to inject the hit.
func (r *refusals) knows(hit string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.hits[hit]
	return known
}

func (r *refusals) has(hit string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits[hit]
}
