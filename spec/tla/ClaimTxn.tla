------------------------------ MODULE ClaimTxn ------------------------------
(* Registry operations as optimistic transactions, the way FoundationDB     *)
(* executes them.  A transaction takes a read version, reads a snapshot as  *)
(* of that version, decides on it with one reading of its clock, and sends  *)
(* its write.  The database applies the write only if nothing that was read *)
(* has been written since the read version, and only if that version is not *)
(* older than the window.                                                   *)
(*                                                                          *)
(* The client may not learn the outcome.  After "commit unknown result" the *)
(* outcome is settled but not told.  After a timeout the commit is still on *)
(* its way: it may be applied at any later time, also after the client has  *)
(* answered its caller.  The client then runs the transaction again, and    *)
(* what it reads is its evidence (see Judge).                               *)
(*                                                                          *)
(* One node is one client.  Clocks have no memory here: a reading is any    *)
(* value within Skew of true time, which includes every clock that drifts   *)
(* or steps backwards within the bound, and a node can believe in its lease *)
(* if some such reading lets it.                                            *)
EXTENDS Integers, FiniteSets

CONSTANTS Nodes,        \* clients
          TTL, Grace, Skew,
          Window,       \* a commit whose read version is more than this behind is rejected
          Ops,          \* operations that clients call
          MaxTime, MaxVersion,  \* bounds of true time and of the database's version
          MaxCalls,     \* calls per node
          MaxFaults,    \* unknown results, timeouts and lost commits in one behaviour
          MaxFailed,    \* nodes that may be marked failed
          Dropped, Bugs

VARIABLES now,      \* true time
          ver,      \* the database's latest commit version
          rec,      \* the record, and the version at which it was last written
          recVer,
          failed,   \* nodes marked failed, and when each node's row was last written
          nodeVer,
          txn,      \* node -> its open call and the transaction it runs, or Idle
          wire,     \* commits sent and not yet processed
          lease,    \* node -> the record it was last granted, NoRecord when it has none
          answer,   \* node -> answer of its last call
          calls,    \* node -> calls made
          faults    \* faults left

vars == <<now, ver, rec, recVer, failed, nodeVer, txn, wire, lease, answer, calls, faults>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

-----------------------------------------------------------------------------
(* The refinement.  A call is done when its commit was applied; what it     *)
(* looked at is its snapshot; and what may still come is each commit on the *)
(* wire that would still pass the conflict check and whose call has ended.  *)

\* A commit is w = [q, since, call, rv, snap, write]: its request, the true
\* time and number of the call, the read version, what was read and what is
\* to be written.
UncheckedRecord(w) ==
    \/ Bug("F1") /\ w.q.op = "Claim"
    \/ Bug("F4") /\ w.q.op # "Claim"

\* The conflict check.  It compares versions, never values: a value that was
\* changed and changed back is a change.
SameRecord(w) ==
    \/ UncheckedRecord(w)
    \/ IF Bug("Values") THEN w.snap.rec.holder = rec.holder /\ w.snap.rec.token = rec.token
                        ELSE recVer <= w.rv

\* The rows of nodes that the decision read: the one that is to hold the actor.
RowsRead(q) == CASE q.op = "Claim" -> {q.node} [] q.op = "Transfer" -> {q.to} [] OTHER -> {}

Valid(w) ==
    /\ Guard("RecordUnchanged", SameRecord(w))
    /\ Guard("NodeUnchanged", \A n \in RowsRead(w.q) : nodeVer[n] <= w.rv)
    /\ Guard("NotTooOld", ver - w.rv <= Window)

Current(w) == txn[w.q.node] # "idle" /\ calls[w.q.node] = w.call

Service == INSTANCE ClaimTxnService WITH
    call   <- [n \in Nodes |-> IF txn[n] = "idle" THEN "idle" ELSE
                 [q |-> txn[n].q, since |-> txn[n].since, view |-> txn[n].snap, done |-> txn[n].done]],
    late   <- {[q |-> w.q, since |-> w.since] : w \in {x \in wire : ~Current(x) /\ Valid(x)}}

Linearizable == Service!Spec

Idle     == Service!Idle
None     == Service!None
NoRecord == Service!NoRecord
Snapshot == [rec |-> rec, failed |-> failed]

-----------------------------------------------------------------------------
(* The database *)

Init ==
    /\ now = 0 /\ ver = 0
    /\ rec = NoRecord /\ recVer = 0
    /\ failed = {} /\ nodeVer = [n \in Nodes |-> 0]
    /\ txn = [n \in Nodes |-> Idle]
    /\ wire = {}
    /\ lease = [n \in Nodes |-> NoRecord]
    /\ answer = [n \in Nodes |-> Service!NoAnswer]
    /\ calls = [n \in Nodes |-> 0]
    /\ faults = MaxFaults

Advance ==
    /\ now < MaxTime
    /\ now' = now + 1
    /\ UNCHANGED <<ver, rec, recVer, failed, nodeVer, txn, wire, lease, answer, calls, faults>>

\* Versions move on without this actor: other traffic commits.
OtherCommit ==
    /\ ver < MaxVersion
    /\ ver' = ver + 1
    /\ UNCHANGED <<now, rec, recVer, failed, nodeVer, txn, wire, lease, answer, calls, faults>>

MarkFailed(n) ==
    /\ n \notin failed /\ Cardinality(failed) < MaxFailed /\ ver < MaxVersion
    /\ failed' = failed \cup {n}
    /\ ver' = ver + 1
    /\ nodeVer' = [nodeVer EXCEPT ![n] = ver + 1]
    /\ UNCHANGED <<now, rec, recVer, txn, wire, lease, answer, calls, faults>>

\* The client of w still waits for its answer.
Waiting(w) == Current(w) /\ txn[w.q.node].phase = "sent" /\ txn[w.q.node].rv = w.rv

Tell(w, outcome, done) ==
    txn' = IF Current(w)
           THEN [txn EXCEPT ![w.q.node].done = done,
                            ![w.q.node].phase = IF Waiting(w) THEN outcome ELSE @]
           ELSE txn

Apply(w) ==
    /\ w \in wire /\ Valid(w) /\ ver < MaxVersion
    /\ wire' = wire \ {w}
    /\ ver' = ver + 1 /\ recVer' = ver + 1 /\ rec' = w.write
    /\ Tell(w, "committed", w.write)
    /\ UNCHANGED <<now, failed, nodeVer, lease, answer, calls, faults>>

Reject(w) ==
    /\ w \in wire /\ ~Valid(w)
    /\ wire' = wire \ {w}
    /\ Tell(w, "rejected", txn[w.q.node].done)
    /\ UNCHANGED <<now, ver, rec, recVer, failed, nodeVer, lease, answer, calls, faults>>

\* A commit that never reaches the log; the client can only be told that the
\* outcome is unknown, or nothing.
Lose(w) ==
    /\ w \in wire /\ faults > 0
    /\ wire' = wire \ {w}
    /\ Tell(w, "lost", txn[w.q.node].done)
    /\ faults' = faults - 1
    /\ UNCHANGED <<now, ver, rec, recVer, failed, nodeVer, lease, answer, calls>>

-----------------------------------------------------------------------------
(* The client *)

NoDoubt == [rv |-> -1]

Requests(n) ==
    LET id    == <<n, calls[n] + 1>>
        again == IF answer[n].kind \in {"settled", "mayStillApply"} THEN {<<n, calls[n]>>} ELSE {}
        ask(op, i, t, to) == [node |-> n, op |-> op, id |-> i, token |-> t, to |-> to]
    IN  (IF "Claim" \in Ops THEN {ask("Claim", i, 0, None) : i \in {id} \cup again} ELSE {})
        \cup (IF "Lookup" \in Ops THEN {ask("Lookup", Service!NoClaim, 0, None)} ELSE {})
        \cup (IF lease[n] = NoRecord THEN {} ELSE
                {ask(op, Service!NoClaim, lease[n].token, None) : op \in Ops \cap {"Renew", "Release"}}
                \cup {ask("Transfer", Service!NoClaim, lease[n].token, m) : m \in IF "Transfer" \in Ops THEN Nodes \ {n} ELSE {}})

\* Who gives a lease up stops to believe in it before asking.
Invoke(n) ==
    /\ txn[n] = Idle /\ calls[n] < MaxCalls
    /\ \E q \in Requests(n) :
          /\ txn' = [txn EXCEPT ![n] = [q |-> q, since |-> now, phase |-> "called", rv |-> -1, snap |-> Snapshot,
                                        done |-> NoRecord, doubt |-> NoDoubt]]
          /\ lease' = IF q.op \in {"Release", "Transfer"} THEN [lease EXCEPT ![n] = NoRecord] ELSE lease
    /\ calls' = [calls EXCEPT ![n] = @ + 1]
    /\ answer' = [answer EXCEPT ![n] = Service!NoAnswer]
    /\ UNCHANGED <<now, ver, rec, recVer, failed, nodeVer, wire, faults>>

\* Read version and reads are one step: whenever the reads are made, they see
\* the snapshot of the read version.
Start(n) ==
    /\ txn[n] # Idle /\ txn[n].phase = "called"
    /\ txn' = [txn EXCEPT ![n].phase = "read", ![n].rv = ver,
                          ![n].snap = IF Bug("F12") /\ lease[n] # NoRecord
                                      THEN [Snapshot EXCEPT !.rec = lease[n]] ELSE Snapshot]
    /\ UNCHANGED <<now, ver, rec, recVer, failed, nodeVer, wire, lease, answer, calls, faults>>

-----------------------------------------------------------------------------
(* Evidence.  An earlier attempt d of the same call, with read version d.rv *)
(* and having read record d.rec, has an unknown outcome.  This attempt has  *)
(* read snapshot r at version v.                                            *)

\* Nothing of d can happen any more: it was settled when its error came, or
\* the record has been written since (by d itself, or by a write that d's
\* conflict check will find), or version v is beyond the window of d.rv: what
\* is to be applied up to v is in r, and after v it is too old.
IsSettled(d, r, v) ==
    \/ ~d.mayApply
    \/ r.version # d.rec.version
    \/ Guard("WindowPassed", v - d.rv > Window)

\* d's write is the record now: its claim id is there.
IsApplied(q, d, r) == q.op = "Claim" /\ r.claim = q.id

\* d is settled, and was not applied: nothing was written since it read, or no
\* token was granted, or the one token that was granted carries another id.
IsAbsent(q, d, r) ==
    \/ r.version = d.rec.version
    \/ q.op = "Claim" /\ Guard("OneGrant", r.token <= d.rec.token + 1) /\ r.claim # q.id

Judge(n) ==
    LET t == txn[n]  q == t.q  d == t.doubt  r == t.snap.rec
    IN CASE d = NoDoubt                                  -> "fresh"
         [] Bug("UnknownCommitted")                      -> "applied"
         [] Bug("UnknownAborted")                        -> "aborted"
         [] Bug("BlindRetry")                            -> "fresh"
         [] Bug("F16") /\ q.op = "Claim"                 -> "forgotten"
         [] Guard("OwnClaim", IsApplied(q, d, r)) /\ IsApplied(q, d, r) -> "applied"
         [] ~IsSettled(d, r, t.rv)                       -> "open"
         [] IsAbsent(q, d, r)                            -> "fresh"
         [] OTHER                                        -> "settled"

=============================================================================
