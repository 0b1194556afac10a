package fdbsim

import "bytes"

// mutationSize is what a write counts for besides its key, value and conflict range (row O25).
const mutationSize = 44

// Set sets key to value. As with all writes an error shows up in the next read and in the commit.
func (tr *Transaction) Set(key, value []byte) { tr.write(mutationSet, key, value) }

// Atomic applies an atomic operation to key.
func (tr *Transaction) Atomic(op MutationType, key, param []byte) { tr.write(op, key, param) }

func (tr *Transaction) write(op MutationType, key, param []byte) {
	m := mutation{op, bytes.Clone(key), append([]byte{}, param...)}
	tr.c.do(func() {
		at := tr.at
		conflict := at.takeWriteConflict()
		if code := at.refuseWrite(m); code != codeOK {
			at.fail(code)
			return
		}
		at.mutate(m)
		at.size += mutationSize + int64(len(m.key)+len(m.param))
		// The key that a versionstamped key becomes is known when it commits, and conflicts then.
		if conflict && op != MutationSetVersionstampedKey {
			at.addWriteConflict(singleKey(m.key))
		}
		at.triggerWatches(singleKey(m.key), m)
	})
}

// refuseWrite is the error of a single-key write.
func (at *attempt) refuseWrite(m mutation) Code {
	if code := at.usedDuringCommit(); code != codeOK {
		return code
	}
	switch {
	case m.op != mutationSet && !m.op.known():
		return codeInvalidMutationType
	case bytes.Compare(m.key, at.maxWriteKey()) >= 0:
		return codeKeyOutsideLegalRange
	case len(m.key) > keyLimit(m.key):
		return codeKeyTooLarge
	case len(m.param) > valueSizeLimit:
		return codeValueTooLarge
	case bytes.HasPrefix(m.key, systemBegin):
		return at.tr.c.unsupported("writing system keys")
	}
	stampedPart := m.param
	switch m.op {
	case MutationSetVersionstampedKey:
		stampedPart = m.key
	case MutationSetVersionstamped:
	default:
		return codeOK
	}
	if _, _, ok := stampPlace(stampedPart); !ok {
		return codeInvalidOperation
	}
	return codeOK
}

// takeWriteConflict reports whether the next write conflicts, and uses that up.
func (at *attempt) takeWriteConflict() bool {
	skip := at.tr.opts.nextWriteNoConflict
	at.tr.opts.nextWriteNoConflict = false
	return !skip
}

func (at *attempt) mutate(m mutation) {
	at.used = true
	at.mutations = append(at.mutations, m)
	at.own.apply(m)
}

func (at *attempt) addWriteConflict(r KeyRange) {
	at.writeConflicts = at.writeConflicts.add(r)
	at.size += conflictSize(r)
}

// Clear removes key.
func (tr *Transaction) Clear(key []byte) {
	if len(key) > keyLimit(key) {
		return // there cannot be such a key
	}
	tr.clear(singleKey(key), bytes.Clone(key))
}

// ClearRange removes the keys of [begin, end).
func (tr *Transaction) ClearRange(begin, end []byte) {
	tr.clear(KeyRange{bytes.Clone(begin), bytes.Clone(end)}, nil)
}

// clear removes a range, or the single key that it was made from.
func (tr *Transaction) clear(r KeyRange, single []byte) {
	tr.c.do(func() {
		at := tr.at
		conflict := at.takeWriteConflict()
		if code := at.refuseClear(r, single); code != codeOK {
			at.fail(code)
			return
		}
		if r.empty() {
			return
		}
		m := mutation{mutationClearRange, r.Begin, r.End}
		at.mutate(m)
		at.size += conflictSize(r)
		if conflict {
			at.addWriteConflict(r)
		}
		at.triggerWatches(r, m)
	})
}

func (at *attempt) refuseClear(r KeyRange, single []byte) Code {
	if bytes.Compare(r.Begin, r.End) > 0 {
		return codeInvertedRange
	}
	if code := at.usedDuringCommit(); code != codeOK {
		return code
	}
	last := at.maxWriteKey()
	if single != nil && bytes.Compare(single, last) >= 0 ||
		single == nil && (bytes.Compare(r.Begin, last) > 0 || bytes.Compare(r.End, last) > 0) {
		return codeKeyOutsideLegalRange
	}
	if bytes.Compare(r.End, systemBegin) > 0 {
		return at.tr.c.unsupported("clearing system keys")
	}
	return codeOK
}

// AddReadConflict makes the transaction conflict as if it had read the range. Only an inverted range is
// reported at once.
func (tr *Transaction) AddReadConflict(begin, end []byte) Code {
	r := KeyRange{bytes.Clone(begin), bytes.Clone(end)}
	if bytes.Compare(begin, end) > 0 {
		return codeInvertedRange
	}
	tr.c.do(func() {
		at := tr.at
		if code := at.refuseConflict(r, at.maxReadKey()); code != codeOK {
			at.fail(code)
			return
		}
		if tr.opts.rywDisabled {
			at.addReadConflicts(rangeSet(nil).add(r))
		} else {
			at.addReadConflicts(at.own.dependentPart(r))
		}
	})
	return codeOK
}

// AddWriteConflict makes others conflict as if the transaction had written the range.
func (tr *Transaction) AddWriteConflict(begin, end []byte) Code {
	r := KeyRange{bytes.Clone(begin), bytes.Clone(end)}
	if bytes.Compare(begin, end) > 0 {
		return codeInvertedRange
	}
	tr.c.do(func() {
		at := tr.at
		if code := at.refuseConflict(r, at.maxWriteKey()); code != codeOK {
			at.fail(code)
			return
		}
		if !r.empty() {
			at.addWriteConflict(r)
		}
	})
	return codeOK
}

func (at *attempt) refuseConflict(r KeyRange, last []byte) Code {
	if code := at.usedDuringCommit(); code != codeOK {
		return code
	}
	if bytes.Compare(r.Begin, last) > 0 || bytes.Compare(r.End, last) > 0 {
		return codeKeyOutsideLegalRange
	}
	return codeOK
}
