--------------------------- MODULE ClaimTxnClient ---------------------------
(***************************************************************************)
(* A registry's operations as clients of ClaimTxnDatabase, the way fdbimpl *)
(* carries them out.  A call runs attempts until one has an outcome.  An   *)
(* attempt takes a read version, reads, decides with one reading of its    *)
(* clock, and sends a commit, or answers at once when it changes nothing.  *)
(*                                                                         *)
(* The client may not learn the outcome.  After "commit unknown result"    *)
(* the outcome is settled but not told.  After a timeout the commit is     *)
(* still on its way: it may be applied at any later time, also after the   *)
(* client has answered its caller.  The call is then in doubt: it reads    *)
(* what the commit would have written and judges by what it finds.  Where  *)
(* that decides nothing because the commit may be on its way, it commits a *)
(* fence, or waits for the version window to pass (Evidence).              *)
(*                                                                         *)
(* What is left out because it lets nothing more happen: a call begins     *)
(* with its first read version, an attempt reads at once what it reads     *)
(* (it may read again), and an answer is given as soon as it is known.     *)
(* Earlier invocations and later answers only allow more orders.           *)
(***************************************************************************)
EXTENDS ClaimTxnDatabase, TLC

CONSTANTS Calls,        \* identities of calls; each is made once
          Nodes, Actors,
          TTL, Grace, Skew, Margin, FailureTimeout,
          Evidence,     \* "fence" or "window": how a commit on its way is settled
          MaxFaults     \* faults in one behaviour

VARIABLES now,     \* true time
          txn,     \* call -> where it stands
          faults   \* faults left

client == <<now, txn, faults>>

Idle == [phase |-> "idle"]

\* The sequential registry: Outcome and what it needs; its variables are not used.
S == INSTANCE ClaimTxnService WITH world <- 0, call <- 0, view <- 0, late <- 0, answer <- 0

NoAnswer == S!NoAnswer
NoDoubt  == [sent |-> 0]

(***************************************************************************)
(* Keys.  A record is split into its tenure, which guarded writes depend   *)
(* on, and its term, which every mutation writes.  A registration is split *)
(* into its standing, which claims depend on, and the time at which the    *)
(* node was seen.  Term, standing and seen carry a stamp: a revision, one  *)
(* more at every write, and the mark of the attempt that wrote.            *)
(***************************************************************************)
Tenure(a)   == <<"tenure", a>>
Term(a)     == <<"term", a>>
State(a)    == <<"state", a>>      \* what guarded writes write
StandingOf(n) == <<"standing", n>>
Seen(n)     == <<"seen", n>>
Floor       == <<"floor", "all">>  \* of all actors here: above it starts who has no record

(* A store that forgets has a floor.  Configurations put ItForgets in the  *)
(* place of Forgets.                                                       *)
Forgets   == FALSE
ItForgets == TRUE
Floors    == IF Forgets THEN {Floor} ELSE {}

Keys == {Tenure(a) : a \in Actors} \cup {Term(a) : a \in Actors} \cup {State(a) : a \in Actors}
        \cup {StandingOf(n) : n \in Nodes} \cup {Seen(n) : n \in Nodes} \cup Floors

NoMark == << >>

TenureValue(r)         == [holder |-> r.holder, token |-> r.token, claim |-> r.claim]
TermValue(r, mark)     == [rev |-> r.version, mark |-> mark, expiry |-> r.expiry]
StandingValue(m, rev, mark) == [rev |-> rev, mark |-> mark, epoch |-> m.epoch, status |-> m.status, instance |-> m.instance]
SeenValue(m, rev, mark)     == [rev |-> rev, mark |-> mark, at |-> m.seen]
FloorValue(f, rev, mark)    == [rev |-> rev, mark |-> mark, token |-> f.token, version |-> f.version]

\* The store that holds a world in which nobody's attempt wrote last.
StoreOf(W, rev) ==
  [key \in Keys |->
     CASE key[1] = "tenure"   -> TenureValue(W.record[key[2]])
       [] key[1] = "term"     -> TermValue(W.record[key[2]], NoMark)
       [] key[1] = "state"    -> W.state[key[2]]
       [] key[1] = "standing" -> StandingValue(W.member[key[2]], rev, NoMark)
       [] key[1] = "seen"     -> SeenValue(W.member[key[2]], rev, NoMark)
       [] key[1] = "floor"    -> FloorValue(W.floor, 0, NoMark)]

FloorIn(s) == IF Forgets THEN [token |-> s[Floor].token, version |-> s[Floor].version] ELSE [token |-> 0, version |-> 0]

\* No revision of a term is 0: the record is not there.
There(s, a) == ~Forgets \/ s[Term(a)].rev > 0

RecordIn(s, a) ==
  LET t == s[Tenure(a)]  l == s[Term(a)]
  IN IF ~There(s, a) THEN [S!NoRecord EXCEPT !.token = FloorIn(s).token, !.version = FloorIn(s).version]
     ELSE [holder |-> t.holder, token |-> t.token, version |-> l.rev, expiry |-> l.expiry, claim |-> t.claim]

MemberIn(s, n) ==
  [epoch |-> s[StandingOf(n)].epoch, status |-> s[StandingOf(n)].status, instance |-> s[StandingOf(n)].instance,
   seen |-> s[Seen(n)].at]

\* The world that a store, or a snapshot of it, holds.
WorldIn(s) ==
  [record |-> [a \in Actors |-> RecordIn(s, a)], member |-> [n \in Nodes |-> MemberIn(s, n)],
   state |-> [a \in Actors |-> s[State(a)]], floor |-> FloorIn(s)]

\* The revision of a stamped key: that of a record that is not there is the floor's version.
Revision(s, key) == IF key[1] = "term" THEN RecordIn(s, key[2]).version ELSE s[key].rev

-----------------------------------------------------------------------------
(* What an attempt reads, with conflict, and what it writes.               *)

Both(a) == {Tenure(a), Term(a)}

ActorsOf(q) == IF q.op = "RenewBatch" THEN DOMAIN q.leases ELSE {q.actor}

ReadSet(q) ==
  CASE Bug("F2") \/ (Bug("F1") /\ q.op = "Claim") \/ (Bug("F4") /\ q.op = "Renew") -> {}
    [] q.op = "Claim"    -> Both(q.actor) \cup Floors \cup IF Bug("OtherTransaction") THEN {} ELSE {StandingOf(q.node.id)}
    [] q.op = "Purge"    -> Floors \cup IF Bug("PurgeUnread") THEN {} ELSE Both(q.actor)
    [] q.op = "Transfer" -> Both(q.actor) \cup IF Bug("OtherTransaction") THEN {} ELSE {StandingOf(q.to.id)}
    [] q.op \in {"Renew", "Release", "RenewBatch"} -> UNION {Both(a) : a \in ActorsOf(q)}
    [] q.op = "Write"    -> IF Bug("GuardBySnapshot") THEN {} ELSE {Tenure(q.actor)}
    [] q.op \in {"RegisterNode", "Heartbeat", "MarkFailed"} -> {StandingOf(q.node.id), Seen(q.node.id)}
    [] q.op = "DeregisterNode" -> {StandingOf(q.node.id)}
    [] OTHER -> {}

(* The change from world V to world W as values of keys, by the attempt    *)
(* that saw s.  The tenure is written exactly when it differs, the term    *)
(* always; a guarded write writes its own key and no other.                *)
Written(q, V, W) ==
  CASE q.op = "Write"        -> {State(q.actor)}
    [] q.op = "RegisterNode" -> {StandingOf(q.node.id), Seen(q.node.id)}
    [] q.op = "Heartbeat"    -> {Seen(q.node.id)}
    [] q.op \in {"MarkFailed", "DeregisterNode"} -> {StandingOf(q.node.id)}
    [] q.op = "Purge"        -> Both(q.actor) \cup IF Bug("FloorUnraised") THEN {} ELSE Floors
    [] OTHER -> UNION {{Term(a)} \cup IF TenureValue(V.record[a]) = TenureValue(W.record[a]) THEN {} ELSE {Tenure(a)} :
                       a \in {b \in ActorsOf(q) : V.record[b] # W.record[b]}}

Values(q, s, W, mark) ==
  [key \in Written(q, WorldIn(s), W) |->
     CASE q.op = "Purge" /\ key[1] = "tenure" -> TenureValue(S!NoRecord)
       [] q.op = "Purge" /\ key[1] = "term"   -> TermValue(S!NoRecord, NoMark)
       [] key[1] = "floor"    -> FloorValue(W.floor, s[key].rev + 1, mark)
       [] key[1] = "tenure"   -> TenureValue(W.record[key[2]])
       [] key[1] = "term"     -> TermValue(W.record[key[2]], mark)
       [] key[1] = "state"    -> W.state[key[2]]
       [] key[1] = "standing" -> StandingValue(W.member[key[2]], s[key].rev + 1, mark)
       [] key[1] = "seen"     -> SeenValue(W.member[key[2]], s[key].rev + 1, mark)]

\* The keys written whose value tells who wrote it.
Stamped(put) == {key \in DOMAIN put : key[1] \in {"term", "standing", "seen", "floor"}}

\* Those of an attempt that can tell of it later: what a purge clears tells nobody.
Evident(q, put) == IF q.op = "Purge" THEN Stamped(put) \cap Floors ELSE Stamped(put)

-----------------------------------------------------------------------------
(* Evidence.  An earlier attempt of the same call has an unknown outcome:  *)
(* the doubt d.  It wrote revision d.base[key] + 1 of each of its stamped  *)
(* keys or nothing, for they were in its read set, and all of them or      *)
(* none.  Its client has read them again, at version t.rv:                 *)
(*   - its mark is at one: it was applied.                                 *)
(*   - the next revision of one has another mark: it was not applied, and  *)
(*     it would not pass the conflict check any more.                      *)
(*   - one is as it was: it was not applied up to t.rv.  If it was settled *)
(*     when its error came, or t.rv is beyond the window of its read       *)
(*     version, it never will be; else a fence has to make sure of that.   *)
(*   - none is stamped, as in a guarded write, which is the application's *)
(*     own transaction: there is no evidence.                              *)
(*   - it is a claim where there was no record, and there is none: while   *)
(*     the floor is as it was it was not applied, since what it wrote would *)
(*     have raised the floor when it was purged.                           *)
(*   - all have later revisions: it has nothing left to do, but what it    *)
(*     did is hidden.  It may have been applied and overwritten, so that   *)
(*     both a retry and a refusal could be lies.                           *)

Purged(t, key) == key[1] = "term" /\ ~There(t.snap, key[2])

Untouched(t) ==
  {key \in DOMAIN t.doubt.base :
     IF Purged(t, key) THEN t.doubt.above /\ (Bug("FloorUnseen") \/ Revision(t.snap, key) = t.doubt.base[key])
     ELSE t.snap[key].rev = t.doubt.base[key]}
Taken(t)     == {key \in DOMAIN t.doubt.base : t.snap[key].rev = t.doubt.base[key] + 1 /\ t.snap[key].mark # t.doubt.mark}
Own(t)       == {key \in DOMAIN t.doubt.base : t.snap[key].mark = t.doubt.mark}

Over(t) ==
  ~t.doubt.mayApply \/ (Evidence = "window" /\ t.rv - t.doubt.rv > Window) \/ Bug("SettledByAnyRead")

Judge(t) ==
  CASE Bug("UnknownCommitted")           -> "committed"
    [] Bug("UnknownAborted") /\ ~t.doubt.mayApply -> "aborted"
    [] Bug("F16") \/ (Bug("BlindRetry") /\ ~t.doubt.mayApply) -> "absent"
    [] t.doubt.base = NoValues           -> "open"
    [] Own(t) # {}                       -> IF Guard("OwnMark", FALSE) THEN "absent" ELSE "applied"
    [] Taken(t) # {}                     -> "absent"
    [] Untouched(t) # {}                 -> IF Over(t) THEN "absent" ELSE "open"
    [] OTHER                             -> IF Guard("OneWrite", FALSE) THEN "absent" ELSE "hidden"

-----------------------------------------------------------------------------
(* Where a call stands: idle; read, with the snapshot of its transaction   *)
(* and the doubt it has, if any; sent, its commit on the wire; fencing,    *)
(* its fence on the wire; over, with its answer.                           *)

Reading(k, t, doubt) ==
  txn' = [txn EXCEPT ![k] = [phase |-> "read", q |-> t.q, since |-> t.since, sent |-> t.sent, done |-> t.done,
                             doubt |-> doubt, rv |-> ver', snap |-> store']]

Waiting(k, t, phase, doubt) ==
  txn' = [txn EXCEPT ![k] = [phase |-> phase, q |-> t.q, since |-> t.since, sent |-> t.sent + 1, done |-> t.done,
                             doubt |-> doubt]]

End(k, a) == txn' = [txn EXCEPT ![k] = [phase |-> "over", answer |-> a]]

InDoubt(k) == txn[k].phase = "read" /\ txn[k].doubt # NoDoubt

\* A call begins with its first read version.
Invoke(k, q) ==
  LET new == [q |-> q, since |-> now, sent |-> 0, done |-> NoAnswer]
  IN /\ txn[k] = Idle
     /\ UNCHANGED <<database, now, faults>>
     /\ \/ Reading(k, new, NoDoubt)
        \/ \E j \in Calls :
             /\ Bug("CachedVersion") /\ txn[j].phase = "read"
             /\ txn' = [txn EXCEPT ![k] = new @@ [phase |-> "read", doubt |-> NoDoubt, rv |-> txn[j].rv, snap |-> txn[j].snap]]

(* A new read version: after a conflict, after a read that failed, or to   *)
(* look for evidence.                                                      *)
Start(k) ==
  /\ txn[k].phase = "read" /\ txn[k].rv # ver
  /\ UNCHANGED <<database, now, faults>>
  /\ Reading(k, txn[k], txn[k].doubt)

-----------------------------------------------------------------------------
(* One reading of the clock, one decision, on the snapshot.                *)

(* F16: a claim does not recognise its own earlier commit.  F12: a lookup  *)
(* is answered from what an earlier call was told.                         *)
Cached == {txn[j].answer : j \in {i \in Calls : txn[i].phase = "over" /\ txn[i].answer.record # S!NoRecord}}

Decision(q, W, c) ==
  LET forgetful == S!Outcome([q EXCEPT !.claim = 0], W, c)
  IN CASE Bug("F16") /\ q.op = "Claim" /\ ~forgetful.changes -> forgetful
       [] Bug("F12") /\ q.op = "Lookup" /\ Cached # {}       -> [changes |-> FALSE, world |-> W, answer |-> CHOOSE a \in Cached : TRUE]
       [] OTHER                                              -> S!Outcome(q, W, c)

CommitOf(k, c, o) ==
  LET t    == txn[k]
      mark == IF Bug("SharedMark") THEN <<t.q.node>> ELSE <<k, t.sent + 1>>
      put  == Values(t.q, t.snap, o.world, mark)
      held == RecordIn(t.snap, t.q.actor).holder
      gone == IF t.q.op = "Purge" /\ held # S!Nobody THEN {StandingOf(held.id)} ELSE {}
  IN [call |-> k, sent |-> t.sent + 1, fence |-> FALSE, q |-> t.q, since |-> t.since,
      rv |-> IF Bug("F3") THEN ver ELSE t.rv, reads |-> ReadSet(t.q) \cup gone, writes |-> DOMAIN put, put |-> put,
      saw |-> IF Bug("Values") THEN t.snap ELSE NoValues,
      base |-> [key \in Evident(t.q, put) |-> Revision(t.snap, key)], above |-> ~There(t.snap, t.q.actor), mark |-> mark, c |-> c, read |-> now,
      answer |-> IF Bug("AnswersBefore") THEN S!Done(RecordIn(t.snap, t.q.actor)) ELSE o.answer]

Decide(k, c) ==
  LET o == Decision(txn[k].q, WorldIn(txn[k].snap), c)
  IN /\ txn[k].phase = "read" /\ txn[k].doubt = NoDoubt
     /\ UNCHANGED <<now, faults>>
     /\ IF o.changes THEN Send(CommitOf(k, c, o)) /\ Waiting(k, txn[k], "sent", NoDoubt)
        ELSE UNCHANGED database /\ End(k, o.answer)

-----------------------------------------------------------------------------
(* What a client in doubt does with what it found.                         *)

Settle(k) ==
  LET t == txn[k]
  IN /\ InDoubt(k)
     /\ UNCHANGED <<database, now, faults>>
     /\ CASE Judge(t) \in {"applied", "committed"} -> End(k, t.doubt.answer)
          [] Judge(t) = "aborted" -> End(k, S!Nothing)
          [] Judge(t) = "hidden"  -> End(k, S!Settled)
          [] Judge(t) = "absent"  -> Reading(k, t, NoDoubt)
          [] Judge(t) = "open"    -> FALSE

(* A fence reads what the commit in doubt would have written, and declares *)
(* to write one key that is as it was, with no new value.  When it is      *)
(* committed, the key was unwritten up to then, so the commit is not       *)
(* there; and the commit, whose read version is older and which has read   *)
(* the key, will find a conflict.  A fence that is not committed, or whose *)
(* own outcome is unknown, proves nothing and changes nothing.             *)
Fence(k, key) ==
  LET t == txn[k]
      f == [call |-> k, sent |-> t.sent + 1, fence |-> TRUE, rv |-> t.rv, read |-> now, saw |-> NoValues,
            reads |-> IF Bug("FenceUnread") THEN {} ELSE DOMAIN t.doubt.base,
            writes |-> IF Bug("FenceUnwritten") THEN {} ELSE {key}, put |-> NoValues]
  IN /\ Evidence = "fence" /\ InDoubt(k) /\ Judge(t) = "open" /\ key \in Untouched(t)
     /\ Send(f) /\ Waiting(k, t, "fencing", t.doubt)
     /\ UNCHANGED <<now, faults>>

(* The client stops trying: its attempts are used up, or its caller's      *)
(* context has ended.  In doubt it says so, and how.  One that repeats     *)
(* blindly knows that much of itself.                                      *)
GiveUp(k) ==
  LET d == txn[k].doubt
  IN /\ txn[k].phase = "read"
     /\ End(k, CASE d = NoDoubt /\ Bug("BlindRetry") /\ txn[k].sent > 0 -> S!Settled
                 [] d = NoDoubt                                       -> S!Nothing
                 [] d.mayApply /\ ~Bug("SettledUntold")               -> S!MayApply
                 [] OTHER                                             -> S!Settled)
     /\ UNCHANGED <<database, now, faults>>

-----------------------------------------------------------------------------
(* What a client hears of a commit or fence that it waits for.  A call     *)
(* that is still open remembers in done, which no client sees, that one of *)
(* its attempts was applied.                                               *)

Awaited(w) == txn[w.call].phase \in {"sent", "fencing"} /\ txn[w.call].sent = w.sent

DoubtOf(w, mayApply) ==
  [sent |-> w.sent, mayApply |-> mayApply, rv |-> w.rv, base |-> w.base, above |-> w.above, mark |-> w.mark, answer |-> w.answer]

Hear(w, told, done) ==
  LET k == w.call
      t == [txn[k] EXCEPT !.done = done]
  IN CASE txn[k].phase = "over"  -> UNCHANGED txn
       [] ~Awaited(w)            -> txn' = [txn EXCEPT ![k] = t]
       [] told = "applied"       -> IF w.fence THEN Reading(k, t, NoDoubt) ELSE End(k, w.answer)
       [] told = "rejected"      -> Reading(k, t, IF w.fence THEN t.doubt ELSE NoDoubt)
       [] told = "unknown"       -> Reading(k, t, IF w.fence THEN t.doubt ELSE DoubtOf(w, FALSE))

NotDone(w)  == IF txn[w.call].phase = "over" THEN NoAnswer ELSE txn[w.call].done
DoneWith(w) == IF w.fence THEN NotDone(w) ELSE w.answer

\* The outcome arrives.
Commit(w)   == Apply(w) /\ Hear(w, "applied", DoneWith(w)) /\ UNCHANGED <<now, faults>>
Conflict(w) == ~Valid(w) /\ Reject(w) /\ Hear(w, "rejected", NotDone(w)) /\ UNCHANGED <<now, faults>>

Fault == faults > 0 /\ faults' = faults - 1 /\ UNCHANGED now

\* The database refuses a commit that has no conflict.
Refuse(w) == Fault /\ Awaited(w) /\ Valid(w) /\ Reject(w) /\ Hear(w, "rejected", NotDone(w))

\* Commit unknown result: the outcome is there, and the client is not told.
UnknownApplied(w)    == Fault /\ Awaited(w) /\ Apply(w) /\ Hear(w, "unknown", DoneWith(w))
UnknownNotApplied(w) == Fault /\ Awaited(w) /\ Reject(w) /\ Hear(w, "unknown", NotDone(w))

\* The client stops to wait while w, a commit or a fence, is on its way.
Timeout(w) ==
  LET t == txn[w.call]
  IN /\ Fault /\ Awaited(w)
     /\ UNCHANGED database
     /\ Reading(w.call, t, CASE ~w.fence               -> DoubtOf(w, TRUE)
                             [] Bug("FenceTimedOut")   -> NoDoubt
                             [] OTHER                  -> t.doubt)
=============================================================================
