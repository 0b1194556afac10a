--------------------------- MODULE ClaimTxnTrace ----------------------------
(***************************************************************************)
(* Are recorded schedules of an implementation behaviours of ClaimTxn?     *)
(* Each event of a trace is what the database did with one request, or     *)
(* what a client did next: the steps of ClaimTxn by their arguments, with  *)
(* the keys and values that were seen on the wire, and the answers that    *)
(* callers got.  Marks are the implementation's own and are not compared;  *)
(* an event says whether its mark was new.                                 *)
(*                                                                         *)
(* A trace is a sequence of numbers: of the store that it starts from, and *)
(* of its events.  All traces are checked at once, each from an initial    *)
(* state of its own.  TLC reports a deadlock at an event that   *)
(* is no step; without one every trace was followed to its end, and the    *)
(* number of distinct states is that of the events and traces.             *)
(*                                                                         *)
(* True time stands still, and readings are as recorded, also where an     *)
(* experiment lets clocks differ by more than the cluster's bound.         *)
(***************************************************************************)
EXTENDS ClaimTxn, Sequences

CONSTANTS Traces,    \* how many there are
          Trace(_), StoreAt(_), EventAt(_)  \* each by its number

VARIABLES trace, at

traceVars == <<vars, trace, at>>

ASSUME NotEmpty == Traces > 0 /\ \A i \in 1 .. Traces : Len(Trace(i)) > 1

NoRecord == S!NoRecord
NoMember == S!NoMember

\* Values as they are compared: without the mark.
Unmarked(values) ==
  [key \in DOMAIN values |-> IF key \in Stamped(values) THEN [values[key] EXCEPT !.mark = NoMark] ELSE values[key]]

TraceInit ==
  /\ trace \in 1 .. Traces /\ at = 1
  /\ now = 0 /\ ver = 0 /\ faults = MaxFaults /\ traffic = MaxTraffic
  /\ store = StoreAt(Trace(trace)[1])
  /\ hand = [n \in Nodes |-> [a \in Actors |-> NoHand]]
  /\ written = [key \in Keys |-> 0]
  /\ wire = {}
  /\ txn = [k \in Calls |-> Idle]

-----------------------------------------------------------------------------
(* One event e as a step.                                                  *)

Stays == UNCHANGED <<database, client>>

\* The commit or fence that the database processes.
Processed(e) == {w \in wire : w.call = e.call /\ w.sent = e.sent}

New == wire' \ wire

Reads(e) ==
  LET k == e.call
  IN IF txn[k] = Idle THEN Invoke(k, e.q) ELSE txn[k].phase = "read" /\ (Start(k) \/ (txn[k].rv = ver /\ Stays))

Sends(e) ==
  /\ e.fresh
  /\ Decide(e.call, e.c)
  /\ \A w \in New : w.reads = e.reads /\ w.writes = e.writes /\ Unmarked(w.put) = e.put
  /\ New # {}

SendsFence(e) ==
  /\ \E key \in e.writes : Fence(e.call, key)
  /\ \A w \in New : w.reads = e.reads /\ w.writes = e.writes
  /\ New # {}

Answers(e) ==
  LET k == e.call
      t == txn[k]
  IN IF t.phase = "over" THEN t.answer = e.answer /\ Stays
     ELSE /\ t.phase = "read"
          /\ (t.doubt = NoDoubt /\ Decide(k, e.c)) \/ Settle(k) \/ GiveUp(k)
          /\ txn'[k] = [phase |-> "over", answer |-> e.answer]

Happens(e) ==
  CASE e.do = "reads"    -> Reads(e) /\ Quietly
    [] e.do = "sends"    -> Sends(e) /\ Quietly
    [] e.do = "fences"   -> SendsFence(e) /\ Quietly
    [] e.do = "again"    -> Settle(e.call) /\ txn'[e.call].phase = "read" /\ Quietly
    [] e.do = "answers"  -> Answers(e) /\ Quietly
    [] e.do = "processed" -> \E w \in Processed(e) : (Commit(w) /\ Effective(w)) \/ (Conflict(w) /\ Quietly)
    [] e.do = "refused"  -> \E w \in Processed(e) : (Refuse(w) \/ Conflict(w)) /\ Quietly
    [] e.do = "unknown"  -> \E w \in Processed(e) :
                              IF e.applied /\ Valid(w) THEN UnknownApplied(w) /\ Effective(w) ELSE UnknownNotApplied(w) /\ Quietly
    [] e.do = "timesout" -> (\E w \in Processed(e) : Timeout(w)) /\ Quietly
    [] e.do = "recovers" -> OtherCommits(Window + 1) /\ UNCHANGED client /\ Quietly
    [] e.do = "ends"     -> Unmarked(store) = Unmarked(StoreAt(e.store)) /\ Stays /\ Quietly

Event == EventAt(Trace(trace)[at + 1])

Take ==
  /\ at < Len(Trace(trace))
  /\ Happens(Event)
  /\ at' = at + 1
  /\ UNCHANGED trace

AtItsEnd == at = Len(Trace(trace)) /\ UNCHANGED traceVars

TraceSpec == TraceInit /\ [][Take \/ AtItsEnd]_traceVars
=============================================================================
