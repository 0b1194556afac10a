------------------------------ MODULE ClaimTxn ------------------------------
(***************************************************************************)
(* Registry operations as optimistic transactions, the way FoundationDB    *)
(* executes them.  A transaction takes a read version, reads a snapshot as *)
(* of that version, decides on it with one reading of its clock, and sends *)
(* its write.  The database applies the write only if nothing that was     *)
(* read has been written since the read version, and only if that version  *)
(* is not older than the window.                                           *)
(*                                                                         *)
(* The client may not learn the outcome.  After "commit unknown result"    *)
(* the outcome is settled but not told.  After a timeout the commit is     *)
(* still on its way: it may be applied at any later time, also after the   *)
(* client has answered its caller.  Each write is stored with the mark of  *)
(* the attempt that made it; the client reads again, and what it finds is  *)
(* its evidence (see Judge).  Where that decides nothing because the       *)
(* commit may be on its way, it either commits a fence, which makes the    *)
(* other fail its conflict check, or waits for the version window to pass. *)
(*                                                                         *)
(* One node is one client.  Clocks have no memory here: a reading is any   *)
(* value within Skew of true time, which includes every clock that drifts, *)
(* jumps or steps backwards within the bound, and a node may believe in    *)
(* its lease if some such reading lets it.                                 *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS Nodes,
          TTL, Grace, Skew, Margin,
          Window,       \* a commit whose read version is more than this behind is rejected
          MaxDelay,     \* time after its clock reading in which a commit can still be applied
          Evidence,     \* "fence" or "window": how a commit on its way is settled
          Ops,          \* the operations that clients call
          MaxTime, MaxVersion,  \* bounds of true time and of the database's version
          MaxCalls,     \* calls per node
          MaxFaults,    \* unknown results, timeouts and lost commits in one behaviour
          MaxFailed,    \* nodes that get marked failed
          Dropped, Bugs

VARIABLES now,      \* true time
          ver,      \* the database's latest commit version
          rec,      \* the record ...
          recVer,   \* ... the version at which it was last written, or fenced
          writer,   \* ... and the mark of the attempt that wrote it
          failed,   \* nodes marked failed
          nodeVer,  \* node -> version at which its row was last written
          txn,      \* node -> its open call and the transaction it runs, or Idle
          wire,     \* commits sent and not yet processed
          picked,   \* the commit that the database is about to apply, as a set
          lease,    \* node -> the record it was last granted; NoRecord when it holds none
          hand,     \* ghost: node -> token and expiry granted to it, from the effect on
          answer,   \* node -> answer of its last call
          calls,    \* node -> calls made
          issued,   \* claim ids given out
          faults    \* faults left

vars == <<now, ver, rec, recVer, writer, failed, nodeVer, txn, wire, picked, lease, hand, answer, calls, issued, faults>>
database == <<ver, rec, recVer, writer, failed, nodeVer>>
client   == <<txn, lease, answer, calls, issued>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

-----------------------------------------------------------------------------
(* The conflict check, on a commit w: [q, call, since, rv, snap, read, c,  *)
(* write].   It compares versions, never values: a value that was changed   *)
(* and changed back is a change.                                           *)

Fences(w) == w.q.op = "Fence"

Blind(w) == \/ Bug("F2")
            \/ Bug("F1") /\ w.q.op = "Claim"
            \/ Bug("F4") /\ w.q.op # "Claim"

SameRecord(w) ==
  \/ Blind(w)
  \/ IF Bug("Values") THEN w.snap.rec.holder = rec.holder /\ w.snap.rec.token = rec.token
                      ELSE recVer <= w.rv

\* The node's row that the decision read: of the one who is to hold the actor.
RowsRead(q) == IF q.op \in {"Claim", "Transfer"} THEN {q.to} ELSE {}

Valid(w) ==
  /\ Guard("RecordUnchanged", SameRecord(w))
  /\ Guard("NodeUnchanged", \A n \in RowsRead(w.q) : nodeVer[n] <= w.rv)
  /\ Guard("NotTooOld", ver - w.rv <= Window)
  /\ now - w.read <= MaxDelay

-----------------------------------------------------------------------------
(* First refinement: what clients see.  A call is done when a commit of    *)
(* its was applied; what it looked at is its snapshot; and what may still  *)
(* come is each commit on the wire that would pass the conflict check and  *)
(* whose call has ended.                                                   *)

IdleTxn == [phase |-> "idle"]
NoDoubt == [rv |-> -1]

Current(w) == txn[w.q.node] # IdleTxn /\ calls[w.q.node] = w.call

Service == INSTANCE ClaimTxnService WITH
  call <- [n \in Nodes |-> IF txn[n] = IdleTxn THEN IdleTxn ELSE
             [q |-> txn[n].q, since |-> txn[n].since, done |-> txn[n].done,
              view |-> [rec |-> txn[n].snap.rec, failed |-> txn[n].snap.failed]]],
  late <- {[q |-> w.q, since |-> w.since] : w \in {x \in wire : ~Current(x) /\ Valid(x) /\ ~Fences(x)}}

Linearizable == Service!Spec

NoRecord == Service!NoRecord
Nobody   == Service!R!Nobody
Snapshot == [rec |-> rec, failed |-> failed, writer |-> writer]
NoWriter == << >>

(* Second refinement: Registry itself, with the time that passes between a *)
(* clock reading and the commit counted as skew: its Eps is Skew plus      *)
(* MaxDelay.  The clock of the commit that is applied stands at the reading*)
(* it was decided with; a lease is in the hand of whom it was granted from *)
(* the effect on, which is earlier, hence longer, than the client knows.   *)

Stopped == -1000

Max(x, y) == IF x > y THEN x ELSE y

RegistryEps == Skew + MaxDelay

Registry == INSTANCE Registry WITH
  Actors <- {"a"}, ClaimIDs <- 1 .. (MaxCalls * Cardinality(Nodes)), Instances <- {0}, Eps <- RegistryEps,
  FailureTimeout <- 2 * RegistryEps + 1, MaxToken <- 99, MaxEpoch <- 1, MaxVersion <- 99, MaxWrites <- 0,
  Joined <- Nodes, Acts <- {"Tick", "Drift", "Claim", "Renew", "Release", "Transfer", "MarkFailed"}, Dropped <- {},
  clock  <- [n \in Nodes |-> IF \E w \in picked : w.q.node = n THEN (CHOOSE w \in picked : TRUE).c - now ELSE 0],
  proc   <- [n \in Nodes |-> 1],
  member <- [n \in Nodes |-> [epoch |-> 1, status |-> IF n \in failed THEN "failed" ELSE "active",
                              instance |-> 0, seen |-> -(RegistryEps + 2 * RegistryEps + 1 + 2 * RegistryEps)]],
  record <- [a \in {"a"} |-> [rec EXCEPT !.expiry =
               IF rec.version = 0 THEN -(RegistryEps + Grace + Margin) ELSE Max(@ - now, -(RegistryEps + Grace + Margin))]],
  lease  <- [n \in Nodes |-> [a \in {"a"} |-> [epoch |-> hand[n].epoch, token |-> hand[n].token,
                                               until |-> Max(hand[n].until - now, -RegistryEps)]]],
  tenure <- [a \in {"a"} |-> [num |-> rec.token, open |-> rec.holder # Nobody]],
  writes <- {}

(* Registry!Spec, written so that a step which changes nothing that the    *)
(* mapping looks at is seen to be a stuttering step at once.               *)
RefinesRegistry ==
  /\ Registry!Init
  /\ [][UNCHANGED Registry!vars \/ Registry!Next]_<<now, rec, failed, hand, picked>>

-----------------------------------------------------------------------------
(* The world and the database.  Picking a commit, applying it and being    *)
(* done with it are one step in three parts, and nothing comes between:    *)
(* Registry's clocks do not move in the step of an operation.              *)

Init ==
  /\ now = 0 /\ ver = 0
  /\ rec = NoRecord /\ recVer = 0 /\ writer = NoWriter
  /\ failed = {} /\ nodeVer = [n \in Nodes |-> 0]
  /\ txn = [n \in Nodes |-> IdleTxn]
  /\ wire = {} /\ picked = {}
  /\ lease = [n \in Nodes |-> NoRecord]
  /\ hand = [n \in Nodes |-> [epoch |-> 0, token |-> 0, until |-> Stopped]]
  /\ answer = [n \in Nodes |-> Service!NoAnswer]
  /\ calls = [n \in Nodes |-> 0] /\ issued = 0
  /\ faults = MaxFaults

Advance ==
  /\ picked = {} /\ now < MaxTime
  /\ now' = now + 1
  /\ UNCHANGED <<database, client, wire, picked, hand, faults>>

(* Versions move on without this actor: other traffic commits.  That only  *)
(* matters to who has a read version, and to no difference of versions     *)
(* beyond the window.                                                      *)
ReadVersions ==
  {w.rv : w \in wire} \cup {txn[n].rv : n \in {m \in Nodes : txn[m] # IdleTxn /\ txn[m].rv >= 0}}
    \cup {txn[n].doubt.rv : n \in {m \in Nodes : txn[m] # IdleTxn /\ txn[m].doubt # NoDoubt}}

OtherCommit ==
  /\ picked = {} /\ ver < MaxVersion
  /\ \E v \in ReadVersions : ver - v <= Window
  /\ ver' = ver + 1
  /\ UNCHANGED <<now, rec, recVer, writer, failed, nodeVer, client, wire, picked, hand, faults>>

MarkFailed(n) ==
  /\ picked = {} /\ ver < MaxVersion
  /\ n \notin failed /\ Cardinality(failed) < MaxFailed
  /\ failed' = failed \cup {n}
  /\ ver' = ver + 1
  /\ nodeVer' = [nodeVer EXCEPT ![n] = ver + 1]
  /\ UNCHANGED <<now, rec, recVer, writer, client, wire, picked, hand, faults>>

\* The mark of an attempt.
Mark(w) == <<w.q.node, w.call, w.rv>>

\* The client learns the outcome of w later, if it still waits for it.
Tell(w, outcome, done) ==
  LET n == w.q.node
      waits == txn[n].phase = "sent" /\ txn[n].rv = w.rv
  IN txn' = IF ~Current(w) THEN txn
            ELSE [txn EXCEPT ![n].done = IF done = NoRecord THEN @ ELSE done,
                             ![n].phase = IF waits THEN outcome ELSE @]

\* What became of a fence is known at once, or never asked for: a fence that was
\* committed ends the doubt, another one changes nothing.
TellFence(w, committed) ==
  LET n == w.q.node
      waits == Current(w) /\ txn[n].phase = "fencing" /\ txn[n].rv = w.rv
  IN txn' = IF ~waits THEN txn
            ELSE [txn EXCEPT ![n].phase = "called", ![n].doubt = IF committed THEN NoDoubt ELSE @]

Pick ==
  /\ picked = {} /\ ver < MaxVersion
  /\ \E w \in wire : Valid(w) /\ picked' = {w}
  /\ UNCHANGED <<now, database, client, wire, hand, faults>>

\* What the effect of w puts into hands: the ghost that Registry calls lease.
Handed(w) ==
  LET n == w.q.node  stop(h) == [h EXCEPT !.until = Stopped]
      give == [epoch |-> 1, token |-> w.write.token, until |-> w.write.expiry]
  IN CASE w.q.op = "Release"  -> [hand EXCEPT ![n] = stop(@)]
       [] w.q.op = "Transfer" -> [hand EXCEPT ![n] = stop(@), ![w.q.to] = give]
       [] OTHER               -> [hand EXCEPT ![n] = give]

Apply ==
  /\ \E w \in picked \cap wire :
       /\ picked' = IF w.c = now THEN {} ELSE {w}
       /\ wire' = wire \ {w}
       /\ IF Fences(w)
          THEN TellFence(w, TRUE) /\ UNCHANGED <<rec, writer, hand>>
          ELSE Tell(w, "committed", w.write) /\ rec' = w.write /\ writer' = Mark(w) /\ hand' = Handed(w)
  /\ ver' = ver + 1 /\ recVer' = ver + 1
  /\ UNCHANGED <<now, failed, nodeVer, lease, answer, calls, issued, faults>>

Done ==
  /\ picked # {} /\ picked \cap wire = {}
  /\ picked' = {}
  /\ UNCHANGED <<now, database, client, wire, hand, faults>>

Reject ==
  /\ picked = {}
  /\ \E w \in wire :
       /\ ~Valid(w)
       /\ wire' = wire \ {w}
       /\ IF Fences(w) THEN TellFence(w, FALSE) ELSE Tell(w, "rejected", NoRecord)
  /\ UNCHANGED <<now, database, picked, lease, hand, answer, calls, issued, faults>>

\* A commit that never reaches the log; the client can only be told that the
\* outcome is unknown, or nothing.
Lose ==
  /\ picked = {} /\ faults > 0
  /\ \E w \in wire :
       /\ wire' = wire \ {w}
       /\ IF Fences(w) THEN TellFence(w, FALSE) ELSE Tell(w, "lost", NoRecord)
  /\ faults' = faults - 1
  /\ UNCHANGED <<now, database, picked, lease, hand, answer, calls, issued>>

-----------------------------------------------------------------------------
(* Evidence.  An earlier attempt d of the same call, which had read record *)
(* d.rec at version d.rv, has an unknown outcome.  Its client has read     *)
(* record r at version v.  The attempt wrote version d.rec.version + 1 of  *)
(* the record or nothing, for the record was in its read set:              *)
(*   - its mark is there: it was applied.                                  *)
(*   - the record is as it was: it was not applied up to v.  If it was     *)
(*     settled when its error came, or v is beyond the window of d.rv, it  *)
(*     never will be; else a fence has to make sure of that.               *)
(*   - the next version has another mark: it was not applied, and it would *)
(*     not pass the conflict check any more.                               *)
(*   - later versions: it has nothing left to do, but what it did is       *)
(*     hidden.  It may have been applied and overwritten, so that both a   *)
(*     retry and a refusal could be lies.                                  *)

Judge(n) ==
  LET t == txn[n]  d == t.doubt  r == t.snap.rec
      over == ~d.mayApply \/ (Evidence = "window" /\ t.rv - d.rv > Window) \/ Bug("SettledByAnyRead")
  IN CASE Bug("UnknownCommitted")        -> "committed"
       [] Bug("UnknownAborted")          -> "aborted"
       [] Bug("BlindRetry") \/ Bug("F16") -> "absent"
       [] t.snap.writer = d.mark         -> IF Guard("OwnMark", FALSE) THEN "absent" ELSE "applied"
       [] r.version = d.rec.version      -> IF over THEN "absent" ELSE "open"
       [] Guard("OneWrite", r.version = d.rec.version + 1) -> "absent"
       [] OTHER                          -> "settled"

-----------------------------------------------------------------------------
(* The client.                                                             *)

Requests(n) ==
  LET ask(op, id, token, to) == [node |-> n, op |-> op, id |-> id, token |-> token, to |-> to]
      again == IF answer[n].kind \in {"settled", "mayApply"} /\ answer[n].id # 0 THEN {answer[n].id} ELSE {}
  IN (IF "Claim" \in Ops THEN {ask("Claim", id, 0, n) : id \in {issued + 1} \cup again} ELSE {})
     \cup (IF "Lookup" \in Ops THEN {ask("Lookup", 0, 0, n)} ELSE {})
     \cup (IF lease[n] = NoRecord THEN {} ELSE
             {ask(op, 0, lease[n].token, n) : op \in Ops \cap {"Renew", "Release"}}
             \cup {ask("Transfer", 0, lease[n].token, m) : m \in IF "Transfer" \in Ops THEN Nodes \ {n} ELSE {}})

\* Who gives a lease up stops to believe in it before asking.
Invoke(n) ==
  /\ picked = {} /\ txn[n] = IdleTxn /\ calls[n] < MaxCalls
  /\ \E q \in Requests(n) :
       /\ txn' = [txn EXCEPT ![n] = [q |-> q, since |-> now, phase |-> "called", rv |-> -1, snap |-> Snapshot,
                                     done |-> NoRecord, doubt |-> NoDoubt]]
       /\ lease' = IF q.op \in {"Release", "Transfer"} THEN [lease EXCEPT ![n] = NoRecord] ELSE lease
       /\ issued' = IF q.id > issued THEN q.id ELSE issued
  /\ calls' = [calls EXCEPT ![n] = @ + 1]
  /\ answer' = [answer EXCEPT ![n] = Service!NoAnswer]
  /\ UNCHANGED <<now, database, wire, picked, hand, faults>>

(* Read version and reads are one step: whenever the reads are made, they  *)
(* see the snapshot of the read version.  While it waits for the window to *)
(* settle a doubt, the client reads again.                                 *)
Doubtful(n) == txn[n].phase = "read" /\ txn[n].doubt # NoDoubt

Seen(n) ==
  CASE Bug("F12") /\ lease[n] # NoRecord -> [Snapshot EXCEPT !.rec = lease[n]]
    [] Bug("OtherTransaction")           -> [Snapshot EXCEPT !.failed = txn[n].snap.failed]
    [] OTHER                             -> Snapshot

Start(n) ==
  /\ picked = {}
  /\ \/ txn[n].phase = "called"
     \/ Evidence = "window" /\ Doubtful(n) /\ Judge(n) = "open" /\ txn[n].rv < ver
  /\ txn' = [txn EXCEPT ![n].phase = "read", ![n].rv = ver, ![n].snap = Seen(n)]
  /\ UNCHANGED <<now, database, lease, answer, calls, issued, wire, picked, hand, faults>>

\* An answer ends the call; what it says of the lease is what the node holds.
End(n, a) ==
  LET q == txn[n].q
      got == [lease EXCEPT ![q.to] = IF a.rec.token >= @.token THEN a.rec ELSE @]
  IN /\ answer' = [answer EXCEPT ![n] = a]
     /\ txn' = [txn EXCEPT ![n] = IdleTxn]
     /\ lease' = CASE a.kind = "ok" /\ q.op \in {"Claim", "Renew", "Transfer"} -> got
                   [] a.kind = "refused" /\ q.op = "Renew" -> [lease EXCEPT ![n] = NoRecord]
                   [] OTHER -> lease
     /\ UNCHANGED <<now, database, calls, issued, picked, hand, faults>>

Commit(n, c) ==
  LET t == txn[n]
      w == [q |-> t.q, call |-> calls[n], since |-> t.since, rv |-> IF Bug("F3") THEN ver ELSE t.rv,
            snap |-> t.snap, read |-> now, c |-> c, write |-> Service!Effect(t.q, t.snap.rec, c)]
  IN /\ wire' = wire \cup {w}
     /\ txn' = [txn EXCEPT ![n].phase = "sent", ![n].rv = w.rv]
     /\ UNCHANGED <<now, database, lease, answer, calls, issued, picked, hand, faults>>

(* One reading of the clock, one decision, on the snapshot.                *)
Decide(n) ==
  LET t == txn[n]  q == t.q  r == t.snap.rec
      repeats(c) == Service!Repeats(q, r, c) /\ ~(Bug("F16") /\ q.op = "Claim")
      refusal(c) == Service!Refusal(q, r, t.snap.failed, c)
  IN /\ picked = {} /\ t.phase = "read" /\ t.doubt = NoDoubt
     /\ \E c \in Service!Readings(now, now) :
          IF repeats(c) THEN End(n, Service!Ok(r)) /\ UNCHANGED wire
          ELSE IF refusal(c) # "none" THEN End(n, Service!Refused(refusal(c))) /\ UNCHANGED wire
          ELSE Commit(n, c)

(* What a client in doubt does with what it found.                         *)
Settle(n) ==
  LET t == txn[n]  q == t.q
  IN /\ picked = {} /\ Doubtful(n)
     /\ UNCHANGED wire
     /\ CASE Judge(n) = "applied"   -> End(n, Service!Ok(t.snap.rec))
          [] Judge(n) = "committed" -> End(n, Service!Ok(t.doubt.write))
          [] Judge(n) = "aborted"   -> End(n, Service!Nothing)
          [] Judge(n) = "settled"   -> End(n, Service!Settled(q))
          [] Judge(n) = "absent"    -> /\ txn' = [txn EXCEPT ![n].phase = "called", ![n].rv = -1, ![n].doubt = NoDoubt]
                                       /\ UNCHANGED <<now, database, lease, answer, calls, issued, picked, hand, faults>>
          [] Judge(n) = "open"      -> FALSE

(* A fence reads the record and declares to write it, with no mutation.    *)
(* When it is committed, the record was untouched up to then; and the      *)
(* commit in doubt, whose read version is older, will find a conflict.     *)
Fence(n) ==
  LET t == txn[n]
      f == [q |-> [t.q EXCEPT !.op = "Fence"], call |-> calls[n], since |-> t.since, rv |-> t.rv,
            snap |-> t.snap, read |-> now, c |-> now, write |-> t.snap.rec]
  IN /\ picked = {} /\ Evidence = "fence" /\ Doubtful(n) /\ Judge(n) = "open"
     /\ wire' = wire \cup {f}
     /\ txn' = [txn EXCEPT ![n].phase = "fencing"]
     /\ UNCHANGED <<now, database, lease, answer, calls, issued, picked, hand, faults>>

\* The database said that the commit was applied.
Committed(n) ==
  /\ picked = {} /\ txn[n].phase = "committed"
  /\ End(n, Service!Ok(txn[n].done)) /\ UNCHANGED wire

\* It said that there was a conflict, or that the read version was too old.
Retry(n) ==
  /\ picked = {} /\ txn[n].phase = "rejected"
  /\ txn' = [txn EXCEPT ![n].phase = "called", ![n].rv = -1]
  /\ UNCHANGED <<now, database, lease, answer, calls, issued, wire, picked, hand, faults>>

Doubt(n, mayApply) ==
  LET t == txn[n]
      d == [rv |-> t.rv, rec |-> t.snap.rec, mayApply |-> mayApply, mark |-> <<n, calls[n], t.rv>>,
            write |-> Service!Effect(t.q, t.snap.rec, now)]
  IN txn' = [txn EXCEPT ![n].phase = "called", ![n].rv = -1, ![n].doubt = d]

\* Commit unknown result: the outcome is there, and the client is not told.
Unknown(n) ==
  /\ picked = {} /\ txn[n].phase \in {"committed", "rejected", "lost"}
  /\ txn[n].phase # "lost" => faults > 0
  /\ faults' = IF txn[n].phase = "lost" THEN faults ELSE faults - 1
  /\ Doubt(n, FALSE)
  /\ UNCHANGED <<now, database, lease, answer, calls, issued, wire, picked, hand>>

\* The client stops to wait while the commit, or the fence, is on its way.
Timeout(n) ==
  /\ picked = {} /\ faults > 0
  /\ faults' = faults - 1
  /\ \/ txn[n].phase = "sent" /\ Doubt(n, TRUE)
     \/ txn[n].phase = "fencing" /\ txn' = [txn EXCEPT ![n].phase = "called"]
  /\ UNCHANGED <<now, database, lease, answer, calls, issued, wire, picked, hand>>

\* The caller's context ends while an attempt is in doubt.  (Without a doubt
\* the call would end with nothing done, which shows nothing.)
GiveUp(n) ==
  LET t == txn[n]
  IN /\ picked = {} /\ t.phase = "called" /\ t.doubt # NoDoubt
     /\ End(n, IF t.doubt.mayApply THEN Service!MayApply(t.q) ELSE Service!Settled(t.q))
     /\ UNCHANGED wire

Next ==
  \/ Advance
  \/ OtherCommit
  \/ \E n \in Nodes : MarkFailed(n)
  \/ Pick
  \/ Apply
  \/ Done
  \/ Reject
  \/ Lose
  \/ \E n \in Nodes : Invoke(n)
  \/ \E n \in Nodes : Start(n)
  \/ \E n \in Nodes : Decide(n)
  \/ \E n \in Nodes : Settle(n)
  \/ \E n \in Nodes : Fence(n)
  \/ \E n \in Nodes : Committed(n)
  \/ \E n \in Nodes : Retry(n)
  \/ \E n \in Nodes : Unknown(n)
  \/ \E n \in Nodes : Timeout(n)
  \/ \E n \in Nodes : GiveUp(n)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* Safety, stated on the transactions themselves.                          *)

\* Some reading of its own clock lets node n believe in its lease.
MayServe(n) == lease[n] # NoRecord /\ now - Skew < lease[n].expiry

SingleActivation == \A n, m \in Nodes : MayServe(n) /\ MayServe(m) => n = m

\* Nobody knows of a lease that was not granted, or for longer.
LeaseGranted == \A n \in Nodes : MayServe(n) => lease[n].token = hand[n].token /\ lease[n].expiry <= hand[n].until

Granted == rec'.token # rec.token \/ (rec'.claim # rec.claim)

TokenMonotonic == [][Granted => rec'.token = rec.token + 1]_vars

VersionBump == [][rec' # rec => rec'.version = rec.version + 1]_vars

GraceRespected ==
  [][Granted /\ rec'.claim # 0 /\ rec.holder # Nobody => now - Skew >= rec.expiry + Grace]_vars

-----------------------------------------------------------------------------
(* Witnesses: what the bounds must let happen.                             *)

\* A commit is applied after its call was answered.
NeverLate == [][\A w \in picked : rec' # rec => Current(w)]_vars

\* A commit is applied at another time than its clock was read.
NeverStale == [][\A w \in picked : rec' # rec => w.c = now]_vars

\* A client finds its own write after an unknown outcome, ...
NeverOwnWrite == \A n \in Nodes : Doubtful(n) => Judge(n) # "applied"

\* ... or has to say that it cannot know, ...
NeverUndecided == \A n \in Nodes : Doubtful(n) => Judge(n) # "settled"

\* ... or finds that the version window has settled what was on its way, ...
NeverByWindow == \A n \in Nodes : Doubtful(n) => ~(Judge(n) = "absent" /\ txn[n].doubt.mayApply /\ txn[n].snap.rec.version = txn[n].doubt.rec.version)

\* ... or that its fence has.
NeverByFence == [][\A n \in Nodes : txn[n].phase = "fencing" => txn'[n] = IdleTxn \/ txn'[n].doubt = txn[n].doubt]_vars

\* Two commits on the wire would both pass the conflict check.
NeverContended == \A w, x \in {y \in wire : ~Fences(y)} : Valid(w) /\ Valid(x) => w = x

Symmetric == Permutations(Nodes)
=============================================================================
