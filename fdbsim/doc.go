// Package fdbsim is FoundationDB as its clients see it, in one process and without a cluster:
// multi-version storage, optimistic conflict detection over key ranges, read-your-writes, atomic
// operations, versionstamps, watches, the limits, the options and the errors of version 7.3, and the
// ways in which a commit can end without its client knowing how.
//
// It exists to test code written against the real thing, so it follows a record of what a real
// server did, line by line; where that record leaves a case open it takes the reading that is
// harsher on its user. What it does not model answers with an explicit error.
//
// Package libfdb puts the C API of libfdb_c on top, so that the official Go binding runs on it
// unmodified. This package knows nothing of C and needs no tags.
package fdbsim
