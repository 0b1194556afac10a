package fdbsim

import (
	"bytes"
	"slices"
)

// Commit asks the cluster to make the transaction's writes. It waits for the reads that are under way.
func (tr *Transaction) Commit() *Future {
	var f *Future
	tr.c.do(func() { f = tr.at.commit() })
	return f
}

func (at *attempt) commit() *Future {
	if code := at.refuses(); code != codeOK {
		return at.failed(code)
	}
	at.commitSent = true
	at.commitFuture = at.newFuture()
	at.commitFuture.onCancel = at.takeBack
	if at.reading > 0 {
		at.readsDone = at.startCommit
	} else {
		at.startCommit()
	}
	return at.commitFuture
}

// startCommit runs when no read is under way any more. A commit whose attempt has died meanwhile goes on
// all the same (row L07), unless it was spoilt by its own user.
func (at *attempt) startCommit() {
	switch {
	case at.readError != codeOK:
		at.endCommit(at.readError)
	case at.size > at.tr.opts.sizeLimit:
		at.endCommit(codeTransactionTooLarge)
	case len(at.mutations) == 0 && len(at.writeConflicts) == 0:
		at.commitReadOnly()
	default:
		at.withVersion(at.sendCommit)
	}
}

// commitReadOnly ends without asking the cluster: every read was of one version, which is what a
// read-only transaction promises (rows C48, V12).
func (at *attempt) commitReadOnly() {
	at.tr.c.stats.ReadOnlyCommits++
	at.tr.committedVersion = -1
	at.endStamps(codeNoCommitVersion)
	at.plantWatches()
	at.endCommit(codeOK)
}

// takeBack is what ending a transaction does to its commit. The client sends a commit a moment after the
// call, so one that nobody has waited for since may leave or not (rows N03, O10). With a Scheduler it
// has left.
func (at *attempt) takeBack() {
	c := at.tr.c
	pending := at.commitFuture != nil && !at.commitFuture.done && !at.commitLeft
	if !pending || c.cfg.Scheduler != nil || c.rng.Float64() < 0.5 {
		return
	}
	at.takenBack = true
	c.queue = slices.DeleteFunc(c.queue, func(r *Request) bool { return r.at == at && r.Kind == KindCommit })
}

func (at *attempt) sendCommit(code Code) {
	if at.takenBack {
		return
	}
	if code != codeOK {
		at.endCommit(code)
		return
	}
	at.tr.c.send(&Request{Kind: KindCommit, at: at, Key: at.firstWrite(), serve: at.serveCommit, refuse: at.endCommit})
}

func (at *attempt) firstWrite() []byte {
	if len(at.mutations) > 0 {
		return at.mutations[0].key
	}
	return at.writeConflicts[0].Begin
}

// serveCommit is the cluster's part: refuse what is too old or has been overtaken, apply the rest.
func (at *attempt) serveCommit() {
	c := at.tr.c
	b := c.join()
	if code := at.resolveConflicts(b); code != codeOK {
		at.endCommit(code)
		return
	}
	stamp := versionstamp(b.version, b.order)
	root := c.newest()
	writes, written := slices.Clone(at.writeConflicts), make([]KeyRange, len(at.mutations))
	for i, m := range at.mutations {
		root, written[i] = applyMutation(root, m, stamp)
		if m.op == MutationSetVersionstampedKey {
			writes = writes.add(written[i]) // the only conflict that is not known before
		}
	}
	c.install(b, root, writes, written)
	at.committed(b, stamp)
}

// resolveConflicts is the commit check. The age is checked for every commit, also a blind one (row
// V12); a read version from the future is not noticed (row V11).
func (at *attempt) resolveConflicts(b batch) Code {
	c := at.tr.c
	switch {
	case c.refusal != codeOK:
		return c.refusal
	case c.locked && !at.tr.opts.lockAware:
		return CodeDatabaseLocked
	case b.version-at.version > writeWindow:
		return CodeTransactionTooOld
	}
	if hit := c.conflicts(at.readConflicts, at.version); len(hit) > 0 {
		if at.tr.opts.reportConflictingKeys {
			at.conflicting = hit
		}
		return CodeNotCommitted
	}
	return codeOK
}

// applyMutation is the database after one write, and the range it wrote.
func applyMutation(root *tree, m mutation, stamp []byte) (*tree, KeyRange) {
	switch m.op {
	case mutationClearRange:
		return root.without(m.key, m.param), KeyRange{m.key, m.param}
	case MutationSetVersionstampedKey:
		key := stamped(m.key, stamp)
		return root.with(key, m.param), singleKey(key)
	case MutationSetVersionstamped:
		return root.with(m.key, stamped(m.param, stamp)), singleKey(m.key)
	}
	key := singleKey(m.key)
	old, exists := root.get(m.key)
	if value, present := applyAtomic(m.op, old, exists, m.param); present {
		return root.with(m.key, value), key
	}
	return root.without(key.Begin, key.End), key
}

// committed is the client's part of a success.
func (at *attempt) committed(b batch, stamp []byte) {
	if at.unknown && !at.tr.opts.idempotent {
		at.endCommit(CodeCommitUnknownResult)
		return
	}
	if at.tr.at == at && at.dead == codeOK {
		at.tr.committedVersion = b.version
	}
	for _, f := range at.stamps {
		f.result.Value = stamp
	}
	at.endStamps(codeOK)
	at.plantWatches()
	at.endCommit(codeOK)
}

// endCommit answers the commit. What waits for the commit to succeed fails with it.
func (at *attempt) endCommit(code Code) {
	if at.unknown && code != codeOK {
		code = CodeCommitUnknownResult
		if at.tr.opts.idempotent {
			code = CodeTransactionTooOld // the id finds nothing, and the version is gone (row L21)
		}
	}
	if code != codeOK {
		at.endStamps(codeInvalidVersion)
		at.endWatches(code)
	}
	at.commitFuture.complete(code)
	if code == codeOK && !at.tr.opts.commitProtectionOff {
		at.letGo()
	}
}

// letGo drops what a transaction that has committed is not asked for again: the binding
// destroys one only when Go's collector has found it.
func (at *attempt) letGo() {
	at.pending = slices.DeleteFunc(at.pending, func(f *Future) bool { return f.done })
	at.own, at.cache, at.view = ownWrites{}, nil, viewCache{}
	if at.tr.c.cfg.Scheduler == nil { // which may look at what the commit asked for
		at.mutations, at.readConflicts, at.writeConflicts = nil, nil, nil
	}
}

// Special keys. Of the special key space only the report of conflicting keys is modelled.

var conflictingKeys = []byte("\xff\xff/transaction/conflicting_keys/")

// conflictRows is the report: where the conflicting ranges begin and end.
func (at *attempt) conflictRows() *tree {
	var t *tree
	for _, r := range rangeSet(nil).addAll(at.conflicting) {
		t = t.with(append(bytes.Clone(conflictingKeys), r.Begin...), []byte("1"))
		t = t.with(append(bytes.Clone(conflictingKeys), r.End...), []byte("0"))
	}
	return t
}

func (s rangeSet) addAll(ranges []KeyRange) rangeSet {
	for _, r := range ranges {
		s = s.add(r)
	}
	return s
}

func (at *attempt) specialGet(key []byte) *Future {
	if !bytes.HasPrefix(key, conflictingKeys) {
		at.tr.c.unsupported("special key " + string(key))
		return at.failed(codeSpecialKeysNoModule)
	}
	f := &Future{c: at.tr.c, tr: at.tr, done: true}
	f.result.Value, f.result.Present = at.conflictRows().get(key)
	return f
}

func (at *attempt) specialRange(begin, end KeySelector) *Future {
	if !bytes.HasPrefix(begin.Key, conflictingKeys) {
		at.tr.c.unsupported("special key range from " + string(begin.Key))
		return at.failed(codeSpecialKeysNoModule)
	}
	t := at.conflictRows()
	n := t.len()
	f := &Future{c: at.tr.c, tr: at.tr, done: true}
	for i := max(begin.index(t, n), 0); i < end.index(t, n); i++ {
		f.result.Rows = append(f.result.Rows, t.at(i))
	}
	return f
}

// refuseSystemRead answers reads of the parts of the system key space that a real cluster fills and
// the simulator does not. Other system keys are missing, as they are on a fresh cluster (row O28).
func (at *attempt) refuseSystemRead(r KeyRange) Code {
	filled := []string{"\xff/keyServers", "\xff/serverKeys", "\xff/serverList", "\xff/conf", "\xff/worker", "\xff/coordinators", "\xff\x02"}
	for _, prefix := range filled {
		if bytes.HasPrefix(r.Begin, []byte(prefix)) {
			return at.tr.c.unsupported("reading system key " + string(r.Begin))
		}
	}
	return codeOK
}
