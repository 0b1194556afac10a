// Package fdbimpl is the actor registry on FoundationDB, through the official Go
// binding (API version 730). It needs libfdb_c and is built with the tag fdb; the
// tags fdb and fdbsim build it on the stand-in of package fdbsim.
//
// # One operation, one transaction
//
// Every operation is a transaction that issues its reads as futures before it
// awaits the first, decides with package rules, and commits: one read round trip
// and at most one commit. What it decides by is in its read set, so the commit
// fails when any of it was changed in between. The clock is read after the reads
// were answered and before the commit is sent. From its read version to its
// commit the values it read did not change, and the reading lies between the
// two; so the check, the reading and the write are one atomic step, at the
// instant of the commit.
//
// A refusal writes nothing and commits nothing. It is the state at the read
// version, which FoundationDB hands out no older than the last commit that was
// acknowledged before the transaction began.
//
// # Keys
//
// All keys are tuples under one prefix ([Options].Prefix):
//
//	("c")                              cluster: schema version and time bounds
//	("a", namespace, name, "t")        tenure: holder, token, claim id
//	("a", namespace, name, "l")        lease: version, expiry, mark
//	("h", id, epoch, namespace, name)  held: the holder's copy of the record, for ListActors
//	("n", id, "s")                     standing: epoch, status, info, revision, mark
//	("n", id, "t")                     last seen: reading, revision, mark
//	("f", part)                        floor of a 256th of the actors: token, version, revision, mark
//
// An actor's record is split so that what a guarded write depends on (the
// tenure, written by claim, release and transfer) is apart from what renewals
// write (the lease, written by every mutation). A node's registration is split so
// that what a claim depends on (the standing) is apart from what heartbeats
// write. Nothing is ever written that is not bounded by the number of actors and
// node names; with [Options].Forgets by that of the actors that are not forgotten.
//
// # Unknown outcomes
//
// Every write carries a mark, unique to the attempt, and the next revision of what
// it changes. A commit whose outcome is unknown is decided by reading those, not by
// trying again: see the README.
package fdbimpl
