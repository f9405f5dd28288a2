package probes

import "sync"

// lazy is what a probe works out at its first measurement and keeps. Measurements that
// begin meanwhile wait for it.
type lazy[T any] struct {
	mu    sync.Mutex
	value *T
}

// get returns the value, made by prepare if there is none yet. After a failure the
// next call tries again: a file that was missing may be there by then.
func (l *lazy[T]) get(prepare func() (*T, error)) (*T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.value != nil {
		return l.value, nil
	}
	value, err := prepare()
	if err != nil {
		return nil, err
	}
	l.value = value
	return value, nil
}

// peek returns the value, or nil if there is none yet.
func (l *lazy[T]) peek() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value
}
