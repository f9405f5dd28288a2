package experiments

import "sync"

// targetWorkers is how many targets are broken, or mended, at once.
const targetWorkers = 32

// sideBySide calls do for each hit: hits on one target one after the other, in the
// order given, and different targets at once. It returns when all calls have. Hits
// that hold nothing count as hits on one target.
func sideBySide(hits []Hit, do func(Hit)) {
	groups := map[string][]Hit{}
	var order []string
	for _, hit := range hits {
		if groups[hit.Holds] == nil {
			order = append(order, hit.Holds)
		}
		groups[hit.Holds] = append(groups[hit.Holds], hit)
	}
	queue := make(chan []Hit)
	var workers sync.WaitGroup
	for range min(targetWorkers, len(order)) {
		workers.Go(func() {
			for group := range queue {
				for _, hit := range group {
					do(hit)
				}
			}
		})
	}
	for _, name := range order {
		queue <- groups[name]
	}
	close(queue)
	workers.Wait()
}
