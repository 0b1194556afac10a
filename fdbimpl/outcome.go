package fdbimpl

// Error codes of FoundationDB that decide what an attempt does next.
const (
	codeTooOld               = 1007
	codeFutureVersion        = 1009
	codeNotCommitted         = 1020
	codeCommitUnknown        = 1021
	codeCancelled            = 1025
	codeTimedOut             = 1031
	codeProcessBehind        = 1037
	codeDatabaseLocked       = 1038
	codeVersionChanged       = 1039
	codeCommitMemoryLimit    = 1042
	codeBatchThrottled       = 1051
	codeGRVMemoryLimit       = 1078
	codeOperationCancelled   = 1101
	codeTagThrottled         = 1213
	codeFirstClientSideError = 2000
	codeUsedDuringCommit     = 2017
)

// fate is what an error says about the attempt that got it.
type fate uint8

const (
	again    fate = iota // nothing was written; a new attempt may succeed
	hopeless             // nothing was written; a new attempt would fail likewise
	settled              // written or not, decided by now
	pending              // written or not, and it may be written later
)

// notCommitted holds the codes that say that nothing was written and that another
// attempt is worthwhile (FoundationDB's predicate "retryable, not committed").
var notCommitted = map[int]bool{
	codeTooOld:            true,
	codeFutureVersion:     true,
	codeNotCommitted:      true,
	codeProcessBehind:     true,
	codeDatabaseLocked:    true,
	codeCommitMemoryLimit: true,
	codeBatchThrottled:    true,
	codeGRVMemoryLimit:    true,
	codeTagThrottled:      true,
}

// readFate classifies an error from before the commit was sent: nothing was
// written, whatever the code says.
func readFate(code int) fate {
	switch {
	case notCommitted[code], code == codeCommitUnknown, code == codeVersionChanged:
		return again
	default:
		return hopeless
	}
}

// commitFate classifies an error of a commit.
//
// 1021 is settled: the client delivers it only after a transaction of its own,
// conflicting with the lost one, was committed. The others that leave the outcome
// open give no such promise. A timeout (1031) or a cancellation (1025, 1101) ends
// the waiting, not the commit, which is under way and lands when the server gets
// to it. 1039 says that the client changed its protocol under the commit; 2017
// that the transaction was used while a commit was under way, which may be one
// that succeeds. A code that is not known is taken for the worst.
//
// The remaining client-side errors (2000 and up) are found before anything is
// sent: bad keys, bad options, sizes.
func commitFate(code int) fate {
	switch {
	case notCommitted[code]:
		return again
	case code == codeCommitUnknown:
		return settled
	case code >= codeFirstClientSideError && code != codeUsedDuringCommit:
		return hopeless
	default:
		return pending
	}
}
