package fdbsim

import (
	"bytes"
	"time"
)

// StreamingMode says how much of a range a single GetRange transfers.
type StreamingMode int

// The streaming modes, with the codes of the client API.
const (
	StreamingWantAll  StreamingMode = -2
	StreamingIterator StreamingMode = -1
	StreamingExact    StreamingMode = 0
	StreamingSmall    StreamingMode = 1
	StreamingMedium   StreamingMode = 2
	StreamingLarge    StreamingMode = 3
	StreamingSerial   StreamingMode = 4
)

// RangeOptions limit a range read. Limit 0 or -1 is no limit; Iteration counts from 1 and only
// matters for StreamingIterator; TargetBytes 0 leaves the batch size to the mode.
type RangeOptions struct {
	Limit       int
	TargetBytes int
	Mode        StreamingMode
	Iteration   int
	Reverse     bool
}

// rowOverhead is what a row counts for besides its bytes (batch sizes of rows G01..G09).
const rowOverhead = 24

// iteratorBytes is the growth of batches in iterator mode.
var iteratorBytes = [...]int{4096, 6144, 9216, 13824, 20736, 31104, 46656, 69984, 80000}

const wholeReply = 80000

// batchBytes is the size at which a batch is cut, 0 for no limit.
func (o RangeOptions) batchBytes() (int, Code) {
	switch o.Mode {
	case StreamingExact:
		if o.Limit <= 0 && o.TargetBytes == 0 {
			return 0, codeExactModeWithoutLimits
		}
		return o.TargetBytes, codeOK
	case StreamingIterator:
		if o.Iteration < 1 {
			return 0, codeInvalidOperation
		}
		return o.atMost(iteratorBytes[min(o.Iteration, len(iteratorBytes))-1]), codeOK
	case StreamingSmall:
		return o.atMost(256), codeOK
	case StreamingMedium:
		return o.atMost(1000), codeOK
	case StreamingLarge:
		return o.atMost(4096), codeOK
	case StreamingWantAll, StreamingSerial:
		return o.atMost(wholeReply), codeOK
	}
	return 0, codeInvalidOperation
}

func (o RangeOptions) atMost(bytes int) int {
	if o.TargetBytes > 0 {
		return min(o.TargetBytes, bytes)
	}
	return bytes
}

// readRequest is one read on its way: what the reading transaction looked like when it was issued.
type readRequest struct {
	at        *attempt
	kind      RequestKind
	key       []byte
	future    *Future
	snapshot  bool
	mutations int  // how many own writes the read sees
	raw       bool // own writes are not to be seen
	// answer computes the result from the database, completes the fields of the future and returns
	// the range of keys that the result depends on.
	answer func(base, view *tree) KeyRange
}

// seesOwnWrites reports whether a read of that kind is merged with the transaction's writes.
func (at *attempt) seesOwnWrites(snapshot bool) bool {
	return !at.tr.opts.rywDisabled && (!snapshot || at.tr.opts.snapshotRyw > 0)
}

// issue sends a read. The commit waits for it, and fails with its error, even if the caller has
// given up the future (rows R34, C20).
func (at *attempt) issue(r *readRequest) *Future {
	at.used = true
	r.at, r.mutations, r.raw = at, len(at.mutations), !at.seesOwnWrites(r.snapshot)
	r.future = at.newFuture()
	at.reading++
	at.withVersion(func(code Code) {
		if code != codeOK {
			r.finish(code)
			return
		}
		at.tr.c.send(&Request{Kind: r.kind, at: at, Key: r.key,
			serve:  func() { r.serve(at.tr.c.now + futureVersionWait) },
			refuse: r.finish,
		})
	})
	return r.future
}

// serve answers the read from storage, waiting until a version that has not come yet does, or is
// given up.
func (r *readRequest) serve(giveUp time.Duration) {
	c, at := r.at.tr.c, r.at
	switch {
	case at.version < c.oldestReadable():
		r.finish(CodeTransactionTooOld)
	case at.version <= c.readVersion():
		r.merge(c.at(at.version))
	case c.now >= giveUp || c.cfg.Scheduler != nil:
		r.finish(CodeFutureVersion)
	default:
		c.after(giveUp-c.now, at.tr, func() { r.serve(giveUp) })
	}
}

// merge puts the own writes over the database, answers, and adds the conflict range.
func (r *readRequest) merge(base *tree) {
	at := r.at
	view, own := base, &ownWrites{}
	if !r.raw {
		view, own = at.overlay(base, r.mutations)
	}
	depends := r.answer(base, view)
	if !at.tr.opts.bypassUnreadable && own.unreadable.intersects(depends) {
		r.finish(CodeAccessedUnreadable)
		return
	}
	if !r.snapshot && r.kind != KindGet { // Get added its key when it was issued
		at.addReadConflicts(own.dependentPart(depends))
	}
	r.finish(codeOK)
}

func (r *readRequest) finish(code Code) {
	at := r.at
	at.reading--
	if code != codeOK && at.readError == codeOK {
		at.readError = code
	}
	r.future.complete(code)
	if at.reading == 0 && at.readsDone != nil {
		done := at.readsDone
		at.readsDone = nil
		done()
	}
}

// overlay is the database with the first n own writes on top, and those writes.
func (at *attempt) overlay(base *tree, n int) (*tree, *ownWrites) {
	own := &at.own
	if n != len(at.mutations) {
		own = replay(at.mutations[:n])
	}
	v := &at.view
	if !v.valid || v.base != base || v.mutations != n {
		*v = viewCache{base: base, over: own.over(base, at.tr.opts.bypassUnreadable), mutations: n, valid: true}
	}
	return v.over, own
}

func (at *attempt) addReadConflicts(ranges rangeSet) {
	for _, r := range ranges {
		at.readConflicts = at.readConflicts.add(r)
		at.size += conflictSize(r)
	}
}

// conflictSize is what a conflict range counts for in the transaction's size (row O25).
func conflictSize(r KeyRange) int64 { return int64(24 + len(r.Begin) + len(r.End)) }

// Get asks for the value of key.
func (tr *Transaction) Get(key []byte, snapshot bool) *Future {
	key = bytes.Clone(key)
	var f *Future
	tr.c.do(func() { f = tr.at.get(key, snapshot) })
	return f
}

func (at *attempt) get(key []byte, snapshot bool) *Future {
	if bytes.HasPrefix(key, specialBegin) && at.deferred == codeOK {
		return at.specialGet(key)
	}
	if code := at.refuses(); code != codeOK {
		return at.failed(code)
	}
	if bytes.Compare(key, at.maxReadKey()) >= 0 {
		return at.failed(codeKeyOutsideLegalRange)
	}
	if code := at.refuseSystemRead(singleKey(key)); code != codeOK {
		return at.failed(code)
	}
	if len(key) > keyLimit(key) {
		return &Future{c: at.tr.c, tr: at.tr, done: true} // there cannot be such a key (row O20)
	}
	at.used = true
	if f := at.getFromMemory(key, snapshot); f != nil {
		return f
	}
	if !snapshot {
		at.addReadConflicts(rangeSet{singleKey(key)})
	}
	if hit, ok := at.cache[string(key)]; ok {
		at.tr.c.stats.CachedReads++
		return at.ready(key, hit, at.seesOwnWrites(snapshot))
	}
	r := &readRequest{kind: KindGet, key: key, snapshot: snapshot}
	r.answer = func(base, view *tree) KeyRange {
		at.remember(base, key)
		r.future.result.Value, r.future.result.Present = view.get(key)
		return singleKey(key)
	}
	return at.issue(r)
}

// getFromMemory answers a read that the own writes alone decide; nil when they do not. Its error is
// remembered like that of any read.
func (at *attempt) getFromMemory(key []byte, snapshot bool) *Future {
	if !at.seesOwnWrites(snapshot) {
		return nil
	}
	bypass := at.tr.opts.bypassUnreadable
	if at.own.unreadable.contains(key) && !bypass {
		if at.readError == codeOK {
			at.readError = CodeAccessedUnreadable
		}
		return at.failed(CodeAccessedUnreadable)
	}
	ops := at.own.ops[string(key)]
	decided := at.own.independent(key) || bypass && len(ops) > 0 && ops[0].op == MutationSetVersionstamped
	if !decided {
		return nil
	}
	at.tr.c.stats.CachedReads++
	return at.ready(key, cached{}, true)
}

// ready is a future with a value from memory, the own writes on top if merged.
func (at *attempt) ready(key []byte, from cached, merged bool) *Future {
	f := &Future{c: at.tr.c, tr: at.tr, done: true}
	f.result.Value, f.result.Present = from.value, from.present
	if merged {
		f.result.Value, f.result.Present = at.own.value(key, from.value, from.present)
	}
	return f
}

// remember keeps what the database has for key: a second read does not ask again, not even when the
// version has become too old to be read (row V12).
func (at *attempt) remember(base *tree, key []byte) {
	if at.tr.opts.rywDisabled {
		return
	}
	if at.cache == nil {
		at.cache = make(map[string]cached)
	}
	v, ok := base.get(key)
	at.cache[string(key)] = cached{v, ok}
}

// normal is the selector without OrEqual: relative to the first key after Key instead.
func (s KeySelector) normal() KeySelector {
	if s.OrEqual {
		return KeySelector{Key: keyAfter(s.Key), Offset: s.Offset}
	}
	return KeySelector{Key: bytes.Clone(s.Key), Offset: s.Offset}
}

// index is the place the (normal) selector names among the first n rows of t: below 0 when it runs off
// the beginning, n when it runs off the end.
func (s KeySelector) index(t *tree, n int) int {
	return min(t.rank(s.Key)+s.Offset-1, n)
}

// GetKey asks for the key that the selector names: the empty key in front of the first, and the
// first key outside the readable range behind the last.
func (tr *Transaction) GetKey(sel KeySelector, snapshot bool) *Future {
	norm := sel.normal()
	var f *Future
	tr.c.do(func() { f = tr.at.getKey(norm, sel.Key, snapshot) })
	return f
}

func (at *attempt) getKey(sel KeySelector, named []byte, snapshot bool) *Future {
	if code := at.refuses(); code != codeOK {
		return at.failed(code)
	}
	if bytes.Compare(named, at.maxReadKey()) > 0 {
		return at.failed(codeKeyOutsideLegalRange)
	}
	if code := at.refuseSystemRead(singleKey(named)); code != codeOK {
		return at.failed(code)
	}
	r := &readRequest{kind: KindGetKey, key: sel.Key, snapshot: snapshot}
	r.answer = func(_, view *tree) KeyRange {
		end := at.maxReadKey()
		n := view.rank(end)
		switch i := sel.index(view, n); {
		case i < 0:
			r.future.result.Value = []byte{}
		case i == n:
			r.future.result.Value = end
		default:
			r.future.result.Value = view.at(i).Key
		}
		if sel.Offset <= 0 {
			return KeyRange{r.future.result.Value, sel.Key}
		}
		return KeyRange{sel.Key, keyAfter(r.future.result.Value)}
	}
	return at.issue(r)
}

// GetRange asks for one batch of the rows from begin on and below end.
func (tr *Transaction) GetRange(begin, end KeySelector, o RangeOptions, snapshot bool) *Future {
	b, e := begin.normal(), end.normal()
	var f *Future
	tr.c.do(func() { f = tr.at.getRange(b, e, KeyRange{begin.Key, end.Key}, o, snapshot) })
	return f
}

func (at *attempt) getRange(begin, end KeySelector, named KeyRange, o RangeOptions, snapshot bool) *Future {
	limitBytes, code := o.batchBytes()
	if code != codeOK {
		return at.failed(code)
	}
	if bytes.HasPrefix(named.Begin, specialBegin) && at.deferred == codeOK {
		return at.specialRange(begin, end)
	}
	if code := at.refuses(); code != codeOK {
		return at.failed(code)
	}
	if last := at.maxReadKey(); bytes.Compare(named.Begin, last) > 0 || bytes.Compare(named.End, last) > 0 {
		return at.failed(codeKeyOutsideLegalRange)
	}
	if o.Limit < -1 {
		return at.failed(codeRangeLimitsInvalid)
	}
	if begin.Offset >= end.Offset && bytes.Compare(begin.Key, end.Key) >= 0 {
		return &Future{c: at.tr.c, tr: at.tr, done: true} // inverted or empty: no rows, no error (row O29)
	}
	if code := at.refuseSystemRead(named); code != codeOK {
		return at.failed(code)
	}
	r := &readRequest{kind: KindGetRange, key: begin.Key, snapshot: snapshot}
	r.answer = func(base, view *tree) KeyRange {
		s := scan{begin: begin, end: end, limitRows: o.Limit, limitBytes: limitBytes, reverse: o.Reverse, last: at.maxReadKey()}
		s.run(base, view)
		r.future.result.Rows, r.future.result.More = s.rows, s.more
		return s.depends()
	}
	return at.issue(r)
}

// scan is the reading of one batch.
type scan struct {
	begin, end  KeySelector
	limitRows   int
	limitBytes  int
	reverse     bool
	last        []byte // end of the readable keys
	rows        []KeyValue
	more        bool
	readToBegin bool
	readThrough bool
}

func (s *scan) run(base, view *tree) {
	n := view.rank(s.last)
	i, j := s.begin.index(view, n), s.end.index(view, n)
	s.readToBegin = i < 0 || j < 0
	s.readThrough = s.end.Offset > 1 && j == n || s.begin.Offset > 1 && i == n
	i = max(i, 0)
	for size := 0; i < j && !s.more; {
		var row KeyValue
		if s.reverse {
			j--
			row = view.at(j)
		} else {
			row = view.at(i)
			i++
		}
		s.rows = append(s.rows, row)
		// The batch is cut by the rows that storage sends; rows that only the own writes have come on
		// top (row G09).
		if _, stored := base.get(row.Key); stored {
			size += len(row.Key) + len(row.Value) + rowOverhead
		}
		// Reaching a limit always announces more, even when nothing is left (row G04).
		s.more = s.limitRows > 0 && len(s.rows) == s.limitRows || s.limitBytes > 0 && size >= s.limitBytes
	}
}

// depends is the range of keys that could have changed the batch: what was read, and what a selector
// was counted over (rows C16..C21, C69, C70).
func (s *scan) depends() KeyRange {
	r := KeyRange{s.begin.Key, s.end.Key}
	if bytes.Compare(r.Begin, r.End) >= 0 {
		r = KeyRange{s.end.Key, s.begin.Key}
	} else if s.more && !s.reverse && s.end.Offset > 0 {
		r.End = r.Begin
	} else if s.more && s.reverse && s.begin.Offset <= 1 {
		r.Begin = r.End
	}
	if s.readToBegin {
		r.Begin = []byte{}
	}
	if s.readThrough {
		r.End = s.last
	}
	if len(s.rows) == 0 {
		return r
	}
	lowest, highest := s.rows[0].Key, s.rows[len(s.rows)-1].Key
	if s.reverse {
		lowest, highest = highest, lowest
	}
	if bytes.Compare(lowest, r.Begin) < 0 {
		r.Begin = lowest
	}
	if bytes.Compare(highest, r.End) >= 0 {
		r.End = keyAfter(highest)
	}
	return r
}
