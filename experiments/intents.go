package experiments

import (
	"slices"
	"sync"
)

// intents puts on disk what a round is about to do. The first hits of as many targets as
// are broken at once share one fsync: so each worker waits for the disk once a batch, and
// no more hits look as if they might have been done than are under way, and as many
// again. A further hit on a target has an intent of its own, when its turn comes.
type intents struct {
	r  *runner
	of map[string]*intent // by the ID of the hit
}

// intent is a batch.
type intent struct {
	mu    sync.Mutex
	hits  []Hit
	taken bool          // somebody brings it to the disk, or has
	over  chan struct{} // closed then
	err   error
}

func newIntent(hits ...Hit) *intent { return &intent{hits: hits, over: make(chan struct{})} }

func (r *runner) intents(hits []Hit) *intents {
	all := &intents{r: r, of: map[string]*intent{}}
	taken := map[string]bool{}
	batch := newIntent()
	for _, hit := range hits {
		if taken[hit.Holds] {
			all.of[hit.ID] = newIntent(hit)
			continue
		}
		taken[hit.Holds] = true
		if len(batch.hits) == targetWorkers {
			batch = newIntent()
		}
		batch.hits = append(batch.hits, hit)
		all.of[hit.ID] = batch
	}
	return all
}

// commit returns when the intent of a hit is on disk. Where it fails nothing was done,
// and the hit does not look as if it might have been.
func (all *intents) commit(hit Hit) error {
	batch := all.of[hit.ID]
	if batch.take() {
		events := make([]Event, len(batch.hits))
		for i, one := range batch.hits {
			events[i] = all.r.hits.step(one.ID, Intended, "", "", nil)
		}
		batch.err = all.r.commit(events...)
		close(batch.over)
	}
	<-batch.over
	if batch.err != nil {
		all.takeBack(hit, batch.err)
	}
	return batch.err
}

// takeBack makes a hit look as if nothing had been meant to be done.
func (all *intents) takeBack(hit Hit, err error) {
	all.r.emit(all.r.hits.step(hit.ID, Planned, "", "", err))
}

// take tells whether the caller is the one who brings the batch to the disk.
func (batch *intent) take() bool {
	batch.mu.Lock()
	defer batch.mu.Unlock()
	first := !batch.taken
	batch.taken = true
	return first
}

// drop takes back the intent of a hit that is not done after all.
func (all *intents) drop(hit Hit) {
	batch := all.of[hit.ID]
	batch.mu.Lock()
	taken := batch.taken
	if !taken {
		batch.hits = slices.DeleteFunc(batch.hits, func(one Hit) bool { return one.ID == hit.ID })
	}
	batch.mu.Unlock()
	if !taken {
		return
	}
	<-batch.over
	all.takeBack(hit, batch.err)
}
