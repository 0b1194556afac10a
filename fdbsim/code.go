package fdbsim

import "fmt"

// Code is an error code of the FoundationDB client API. Zero means no error. A non-zero Code is an
// error value, so that a pure Go caller can return it and match it with errors.Is.
type Code int

// The codes that the simulator itself produces or that a test may inject.
const (
	codeOK Code = 0

	CodeTransactionTooOld    Code = 1007
	CodeFutureVersion        Code = 1009
	CodeNotCommitted         Code = 1020
	CodeCommitUnknownResult  Code = 1021
	CodeTransactionCancelled Code = 1025
	CodeTransactionTimedOut  Code = 1031
	CodeTooManyWatches       Code = 1032
	CodeWatchesDisabled      Code = 1034
	CodeAccessedUnreadable   Code = 1036
	CodeProcessBehind        Code = 1037
	CodeDatabaseLocked       Code = 1038
	CodeVersionChanged       Code = 1039
	CodeBatchThrottled       Code = 1051
	CodeBrokenPromise        Code = 1100
	CodeOperationCancelled   Code = 1101
	CodeTagThrottled         Code = 1213

	codeNoClusterFile           Code = 1515
	codeInvalidOperation        Code = 2000
	codeKeyOutsideLegalRange    Code = 2004
	codeInvertedRange           Code = 2005
	codeInvalidOptionValue      Code = 2006
	codeInvalidOption           Code = 2007
	codeReadVersionAlreadySet   Code = 2010
	codeVersionInvalid          Code = 2011
	codeRangeLimitsInvalid      Code = 2012
	codeUsedDuringCommit        Code = 2017
	codeInvalidMutationType     Code = 2018
	codeInvalidVersion          Code = 2020
	codeNoCommitVersion         Code = 2021
	codeTransactionTooLarge     Code = 2101
	codeKeyTooLarge             Code = 2102
	codeValueTooLarge           Code = 2103
	codeConnectionStringInvalid Code = 2104
	codeUnsupported             Code = 2108
	codeSpecialKeysNoModule     Code = 2113
	codeExactModeWithoutLimits  Code = 2210
)

// codeInfo is what the client library answers about one code: its text and its predicates.
type codeInfo struct {
	text           string
	maybeCommitted bool
	notCommitted   bool // retryable, and certainly not committed
	onErrorRefuses bool // retryable by the predicate, yet OnError does not retry it
	onErrorAnswers Code // what OnError fails with, when it is not the code itself
}

var codeInfos = map[Code]codeInfo{
	0:    {text: "Success"},
	1004: {text: "Operation timed out"},
	1006: {text: "All alternatives failed"},
	1007: {text: "Transaction is too old to perform reads or be committed", notCommitted: true},
	1009: {text: "Request for future version", notCommitted: true},
	1020: {text: "Transaction not committed due to conflict with another transaction", notCommitted: true},
	1021: {text: "Transaction may or may not have committed", maybeCommitted: true},
	1025: {text: "Operation aborted because the transaction was cancelled"},
	1031: {text: "Operation aborted because the transaction timed out"},
	1032: {text: "Too many watches currently set"},
	1034: {text: "Watches cannot be set if read your writes is disabled"},
	1036: {text: "Read or wrote an unreadable key"},
	1037: {text: "Storage process does not have recent mutations", notCommitted: true},
	1038: {text: "Database is locked", notCommitted: true},
	1039: {text: "The protocol version of the cluster has changed", maybeCommitted: true, onErrorRefuses: true},
	1040: {text: "External client has already been loaded"},
	1042: {text: "CommitProxy commit memory limit exceeded", notCommitted: true},
	1051: {text: "Batch GRV request rate limit exceeded", notCommitted: true},
	1062: {text: "Change feed was cancelled"},
	1078: {text: "GetReadVersion proxy memory limit exceeded", notCommitted: true},
	1100: {text: "Broken promise", onErrorAnswers: CodeTransactionCancelled},
	1101: {text: "Asynchronous operation cancelled"},
	1213: {text: "Transaction tag is being throttled", notCommitted: true},
	1515: {text: "No cluster file found in current directory or default location"},
	2000: {text: "Invalid API call"},
	2004: {text: "Key outside legal range"},
	2005: {text: "Range begin key larger than end key"},
	2006: {text: "Option set with an invalid value"},
	2007: {text: "Option not valid in this context"},
	2010: {text: "Transaction already has a read version set"},
	2011: {text: "Version not valid"},
	2012: {text: "Range limits not valid"},
	2017: {text: "Operation issued while a commit was outstanding"},
	2018: {text: "Unrecognized atomic mutation type"},
	2020: {text: "Transaction does not have a valid commit version"},
	2021: {text: "Transaction is read-only and therefore does not have a commit version"},
	2101: {text: "Transaction exceeds byte limit"},
	2102: {text: "Key length exceeds limit"},
	2103: {text: "Value length exceeds limit"},
	2104: {text: "Connection string invalid"},
	2108: {text: "Operation is not supported"},
	2113: {text: "Special key space range read does not intersect a module"},
	2200: {text: "API version is not set"},
	2201: {text: "API version may be set only once"},
	2203: {text: "API version not supported"},
	2210: {text: "EXACT streaming mode requires limits, but none were given"},
}

// Text is the library's description of the code.
func (c Code) Text() string {
	if info, ok := codeInfos[c]; ok {
		return info.text
	}
	return "UNKNOWN_ERROR"
}

// Error makes a Code an error value.
func (c Code) Error() string { return fmt.Sprintf("FoundationDB error code %d (%s)", int(c), c.Text()) }

// Retryable reports the predicate of the same name: a retry of the whole transaction makes sense.
func (c Code) Retryable() bool { return c.MaybeCommitted() || c.RetryableNotCommitted() }

// MaybeCommitted reports the predicate of the same name: the transaction may have been committed.
// Note that 1031 is not in it, although a timed out commit may land (rows L01..L08 of the table).
func (c Code) MaybeCommitted() bool { return codeInfos[c].maybeCommitted }

// onError is what OnError fails with when it does not retry.
func (c Code) onError() Code {
	if answer := codeInfos[c].onErrorAnswers; answer != codeOK {
		return answer
	}
	return c
}

// RetryableNotCommitted reports the predicate of the same name: certainly not committed, retry.
func (c Code) RetryableNotCommitted() bool { return codeInfos[c].notCommitted }

// err turns a Code into an error, keeping "no error" nil.
func (c Code) err() error {
	if c == codeOK {
		return nil
	}
	return c
}
