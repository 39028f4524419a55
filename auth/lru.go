package auth

import "container/list"

// lru is a bounded table that forgets what was put or touched longest ago. Not
// for concurrent use.
type lru[K comparable, V any] struct {
	limit int
	order *list.List // of *entry[K, V], newest in front
	byKey map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, order: list.New(), byKey: make(map[K]*list.Element)}
}

func (l *lru[K, V]) len() int { return l.order.Len() }

// peek finds a value and leaves its age alone.
func (l *lru[K, V]) peek(key K) (value V, ok bool) {
	if e, found := l.byKey[key]; found {
		return e.Value.(*entry[K, V]).value, true
	}
	return value, false
}

// put writes a value and makes it the newest, at the cost of the oldest if the
// table is full.
func (l *lru[K, V]) put(key K, value V) {
	if e, found := l.byKey[key]; found {
		e.Value.(*entry[K, V]).value = value
		l.order.MoveToFront(e)
		return
	}
	if l.len() >= l.limit {
		l.removeOldest()
	}
	l.byKey[key] = l.order.PushFront(&entry[K, V]{key, value})
}

// oldest is the value that would be forgotten next.
func (l *lru[K, V]) oldest() (value V, ok bool) {
	if e := l.order.Back(); e != nil {
		return e.Value.(*entry[K, V]).value, true
	}
	return value, false
}

func (l *lru[K, V]) removeOldest() {
	if e := l.order.Back(); e != nil {
		delete(l.byKey, l.order.Remove(e).(*entry[K, V]).key)
	}
}
