package fdbsim

import (
	"bytes"
	"maps"
	"slices"
)

// watch waits for a key to have another value than its transaction left it with.
type watch struct {
	at     *attempt // that set it
	key    []byte
	future *Future
	// expected is what the transaction read, and once it has written the key what it wrote.
	expected cached
	known    bool
	written  bool
}

func (w *watch) differs(value []byte, present bool) bool {
	return present != w.expected.present || !bytes.Equal(value, w.expected.value)
}

// Watch asks to be told when the value of key changes. The watch starts with the commit; it reads the
// key and conflicts like a read (row W14).
func (tr *Transaction) Watch(key []byte) *Future {
	key = bytes.Clone(key)
	var f *Future
	tr.c.do(func() { f = tr.at.watch(key) })
	return f
}

func (at *attempt) watch(key []byte) *Future {
	if code := at.refuses(); code != codeOK {
		return at.failed(code)
	}
	switch {
	case at.tr.opts.rywDisabled:
		return at.failed(CodeWatchesDisabled)
	case bytes.Compare(key, at.maxReadKey()) >= 0:
		return at.failed(codeKeyOutsideLegalRange)
	case len(key) > keyLimit(key):
		return at.failed(codeKeyTooLarge)
	}
	// It outlives the transaction, so that it is not one of the futures that end with it.
	w := &watch{at: at, key: key, future: &Future{c: at.tr.c, tr: at.tr, isWatch: true}}
	at.watches = append(at.watches, w)
	w.future.onCancel = func() { at.tr.c.unplant(w) }
	read := at.get(key, false)
	learn := func() {
		if !w.future.done {
			at.learn(w, read)
		}
	}
	if read.done {
		learn()
	} else {
		read.within = append(read.within, learn)
	}
	return w.future
}

// learn gives the watch the value it was set on, and its place among the database's watches.
func (at *attempt) learn(w *watch, read *Future) {
	switch {
	case read.code != codeOK:
		w.future.complete(read.code)
	case w.written && w.differs(read.result.Value, read.result.Present):
		w.future.complete(codeOK)
	case at.tr.db.watching >= at.tr.db.maxWatches:
		w.future.complete(CodeTooManyWatches)
	default:
		w.expected, w.known = cached{read.result.Value, read.result.Present}, true
		w.count()
	}
}

// count takes one of the database's places until the watch ends, however it ends.
func (w *watch) count() {
	db := w.at.tr.db
	db.watching++
	w.future.within = append(w.future.within, func() { db.watching-- })
}

// triggerWatches fires the transaction's own watches on keys that it writes afterwards (row W05).
func (at *attempt) triggerWatches(r KeyRange, m mutation) {
	for _, w := range at.watches {
		if w.future.done || !r.contains(w.key) {
			continue
		}
		value, present := m.param, m.op == mutationSet
		unknown := m.op != mutationSet && m.op != mutationClearRange
		if !present {
			value = nil
		}
		if unknown || (w.known || w.written) && w.differs(value, present) {
			w.future.complete(codeOK)
			continue
		}
		w.expected, w.written = cached{value, present}, true
	}
}

// plantWatches starts the watches of a transaction that has committed: they no longer belong to it.
func (at *attempt) plantWatches() {
	c := at.tr.c
	for _, w := range at.watches {
		if w.future.done {
			continue
		}
		w.future.tr = nil
		if w.differs(c.newest().get(w.key)) {
			c.fire(w)
			continue
		}
		c.watches[string(w.key)] = append(c.watches[string(w.key)], w)
	}
	at.watches = nil
}

// fireWatches fires the watches on the written keys whose value in the newest version is another one.
func (c *Cluster) fireWatches(root *tree, written []KeyRange) {
	for _, r := range written {
		if bytes.Equal(r.End, keyAfter(r.Begin)) {
			c.fireKey(root, string(r.Begin))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(c.watches)) {
			if r.contains([]byte(key)) {
				c.fireKey(root, key)
			}
		}
	}
}

func (c *Cluster) fireKey(root *tree, key string) {
	value, present := root.get([]byte(key))
	var still []*watch
	for _, w := range c.watches[key] {
		if w.differs(value, present) {
			c.fire(w)
		} else {
			still = append(still, w)
		}
	}
	if len(still) == 0 {
		delete(c.watches, key)
	} else {
		c.watches[key] = still
	}
}

// fire sends the news to the watcher. When the value is what it was again by the time they arrive, they
// arrive or not: only a change that lasts is sure to be told.
func (c *Cluster) fire(w *watch) {
	c.send(&Request{Kind: KindWatch, at: w.at, Key: w.key,
		serve: func() {
			if !w.future.done && !w.differs(c.newest().get(w.key)) && c.rng.Float64() < 0.5 {
				c.watches[string(w.key)] = append(c.watches[string(w.key)], w)
				return
			}
			w.future.complete(codeOK)
		},
		refuse: w.future.complete,
	})
}

func (c *Cluster) unplant(w *watch) {
	planted := c.watches[string(w.key)]
	for i, p := range planted {
		if p == w {
			c.watches[string(w.key)] = slices.Delete(planted, i, i+1)
			break
		}
	}
	if len(c.watches[string(w.key)]) == 0 {
		delete(c.watches, string(w.key))
	}
}
