------------------------------ MODULE ClaimTxn ------------------------------
(***************************************************************************)
(* Clients of a registry on a database of optimistic transactions: a       *)
(* bounded number of concurrent calls with any arguments, of any nodes,    *)
(* several of one node among them.  ClaimTxnDatabase is the database,      *)
(* ClaimTxnClient what a client does, ClaimTxnRefinement what clients see  *)
(* of it.                                                                  *)
(*                                                                         *)
(* Clocks have no memory here: a reading is any value within Skew of true  *)
(* time, which includes every clock that drifts, jumps or steps backwards  *)
(* within the bound, and a node may believe in its lease if some such      *)
(* reading lets it.                                                        *)
(***************************************************************************)
EXTENDS ClaimTxnClient

CONSTANTS Ops,                  \* the operations that are called
          ClaimIDs, Tokens, Epochs, Instances,  \* their arguments
          MaxTraffic,           \* commits of others, on no key of the registry
          Begin,                \* the worlds at the start: "free", "held", "lapsed", "released"
          MaxTime,              \* bound of true time
          MaxDelay              \* time after its clock reading in which a commit can still be applied

VARIABLES hand,    \* ghost: node -> actor -> the lease granted to it, from the effect on
          traffic  \* commits of others left

vars == <<database, client, hand, traffic>>

-----------------------------------------------------------------------------
(* The start: every node is registered and has been silent long enough to  *)
(* be found failed.  Each actor is free, or held by some node whose lease  *)
(* ends one tick from now, or has just become claimable.                   *)

Silent == -(FailureTimeout + 3 * Skew + MaxDelay)

Held(n, expiry) == [holder |-> S!Ref(n, 1), token |-> 1, version |-> 1, expiry |-> expiry, claim |-> 1]

FirstRecords ==
  (IF "free" \in Begin THEN {S!NoRecord} ELSE {})
  \cup (IF "held" \in Begin THEN {Held(n, 1) : n \in Nodes} ELSE {})
  \cup (IF "released" \in Begin THEN {[Held(n, 1) EXCEPT !.holder = S!Nobody, !.version = 2] : n \in Nodes} ELSE {})
  \cup (IF "lapsed" \in Begin THEN {Held(n, -(Grace + Margin + Skew)) : n \in Nodes} ELSE {})

SomeActor == CHOOSE a \in Actors : TRUE

FirstWorld(r) ==
  [record |-> [a \in Actors |-> IF r.holder = S!Nobody /\ a # SomeActor THEN S!NoRecord ELSE r],
   state |-> [a \in Actors |-> 0], floor |-> [token |-> 0, version |-> 0],
   member |-> [n \in Nodes |-> [epoch |-> 1, status |-> "active", instance |-> 0, seen |-> Silent]]]

Stopped == -1000

NoHand == [epoch |-> 0, token |-> 0, until |-> Stopped]

InHand(r) == [epoch |-> r.holder.epoch, token |-> r.token, until |-> r.expiry]

Init ==
  /\ now = 0 /\ ver = 0 /\ faults = MaxFaults
  /\ \E r \in FirstRecords :
       /\ store = StoreOf(FirstWorld(r), 1)
       /\ hand = [n \in Nodes |-> [a \in Actors |-> IF n = r.holder.id THEN InHand(r) ELSE NoHand]]
  /\ written = [key \in Keys |-> 0]
  /\ wire = {}
  /\ txn = [k \in Calls |-> Idle]
  /\ traffic = MaxTraffic

-----------------------------------------------------------------------------
(* Requests: any arguments, not only those of a lease in the caller's hand.*)

Refs == {S!Ref(n, e) : n \in Nodes, e \in Epochs}

NoLeases == << >>

\* A call without arguments of its own, by node r.
Plain(op, r) ==
  [op |-> op, node |-> r, actor |-> SomeActor, claim |-> 0, token |-> 0, to |-> r, mode |-> "", instance |-> 0,
   leases |-> NoLeases, now |-> 0]

Requests ==
  LET plain(op) == {Plain(op, r) : r \in Refs}
      of(op)    == {[q EXCEPT !.actor = a] : q \in plain(op), a \in Actors}
      under(op) == {[q EXCEPT !.token = t] : q \in of(op), t \in Tokens}
  IN UNION {
       CASE op = "Claim"        -> {[q EXCEPT !.claim = id] : q \in of(op), id \in ClaimIDs}
         [] op \in {"Renew", "Release", "Write", "Validate"} -> under(op)
         [] op = "Transfer"     -> {[q EXCEPT !.to = to] : q \in under(op), to \in Refs}
         [] op = "RenewBatch"   -> {[q EXCEPT !.leases = [a \in Actors |-> t]] : q \in plain(op), t \in Tokens}
         [] op = "RegisterNode" -> {[q EXCEPT !.mode = mode, !.instance = i] :
                                      q \in plain(op), mode \in {"if-absent", "supersede"}, i \in Instances}
         [] op \in {"Lookup", "Purge"} -> of(op)
         [] OTHER               -> plain(op)   \* Heartbeat, MarkFailed, DeregisterNode, GetNode
       : op \in Ops}

-----------------------------------------------------------------------------
(* The steps.  hand follows the records: whoever is named in one that is   *)
(* written has the lease from then on, and whoever gave it up has none.    *)

Handed(w) ==
  [n \in Nodes |-> [a \in Actors |->
     LET r == RecordIn(store', a)
     IN CASE Term(a) \notin DOMAIN w.put                                      -> hand[n][a]
          [] r.holder.id = n                                                  -> InHand(r)
          [] w.q.op \in {"Release", "Transfer"} /\ w.q.node.id = n            -> [hand[n][a] EXCEPT !.until = Stopped]
          [] OTHER                                                            -> hand[n][a]]]

InTime(w) == now - w.read <= MaxDelay

Quietly == UNCHANGED <<hand, traffic>>

Effective(w) == InTime(w) /\ hand' = Handed(w) /\ UNCHANGED traffic

Advance ==
  /\ now < MaxTime
  /\ now' = now + 1
  /\ UNCHANGED <<database, txn, faults>> /\ Quietly

ReadVersions ==
  {w.rv : w \in wire} \cup {txn[k].rv : k \in {j \in Calls : txn[j].phase = "read"}}
    \cup {txn[k].doubt.rv : k \in {j \in Calls : InDoubt(j)}}

(* The versions of other traffic only matter to who has a read version,    *)
(* and to no difference of versions beyond the window.                     *)
Traffic ==
  /\ traffic > 0
  /\ traffic' = traffic - 1
  /\ \E v \in ReadVersions : ver - v <= Window
  /\ OtherCommits(1)
  /\ UNCHANGED <<client, hand>>

Begins(k)   == \E q \in Requests : Invoke(k, q) /\ Quietly
Starts(k)   == Start(k) /\ Quietly
Decides(k)  ==
  \E c \in S!Readings(IF Bug("ClockBehind") THEN 0 ELSE now, IF Bug("ClockAhead") THEN now + 1 ELSE now) : Decide(k, c) /\ Quietly
Settles(k)  == Settle(k) /\ Quietly
Fences(k)   == InDoubt(k) /\ (\E key \in DOMAIN txn[k].doubt.base : Fence(k, key)) /\ Quietly
GivesUp(k)  == GiveUp(k) /\ Quietly
Commits      == \E w \in wire : Commit(w) /\ Effective(w)
Conflicts    == \E w \in wire : Conflict(w) /\ Quietly
Refuses      == \E w \in wire : Refuse(w) /\ Quietly
LosesAnswer  == \E w \in wire : UnknownApplied(w) /\ Effective(w)
LosesCommit  == \E w \in wire : UnknownNotApplied(w) /\ Quietly
TimesOut     == \E w \in wire : Timeout(w) /\ Quietly

Next ==
  \/ Advance
  \/ Traffic
  \/ \E k \in Calls : Begins(k)
  \/ \E k \in Calls : Starts(k)
  \/ \E k \in Calls : Decides(k)
  \/ \E k \in Calls : Settles(k)
  \/ \E k \in Calls : Fences(k)
  \/ \E k \in Calls : GivesUp(k)
  \/ Commits
  \/ Conflicts
  \/ Refuses
  \/ LosesAnswer
  \/ LosesCommit
  \/ TimesOut

Spec == Init /\ [][Next]_vars

Symmetric == Permutations(Calls) \cup Permutations(Nodes)

-----------------------------------------------------------------------------
(* Safety, stated on the transactions themselves.                          *)

Record(a) == RecordIn(store, a)

(* Contract 4.1.  Some reading of its own clock lets node n believe in the *)
(* lease that it was granted.                                              *)
MayServe(n, a) == now - Skew < hand[n][a].until

SingleActivation == \A a \in Actors : \A n, m \in Nodes : MayServe(n, a) /\ MayServe(m, a) => n = m

Granted(a) ==
  LET r == Record(a)  s == RecordIn(store', a)
  IN s.holder # S!Nobody /\ (s.holder # r.holder \/ s.token # r.token \/ s.claim # r.claim)

Claimed(a) == Granted(a) /\ RecordIn(store', a).claim # 0

\* Contract 4.2.
GraceRespected ==
  [][\A a \in Actors : Claimed(a) /\ Record(a).holder # S!Nobody => now - Skew >= Record(a).expiry + Grace]_vars

\* Contract 4.3.
TokenMonotonic ==
  [][\A a \in Actors : RecordIn(store', a).token = Record(a).token + IF Granted(a) THEN 1 ELSE 0]_vars

\* Contract 4.4.
NoStaleWrite ==
  [][\A a \in Actors : written'[State(a)] # written[State(a)] =>
       Record(a).holder # S!Nobody /\ store'[State(a)] = Record(a).token]_vars

(* Contract 4.5, and the same of registrations: every write of a stamped   *)
(* value adds one to its revision, but for what is forgotten.              *)
VersionBump ==
  [][\A key \in Stamped(store) : store'[key] # store[key] =>
       LET forgotten == key[1] = "term" /\ ~There(store', key[2])
       IN IF forgotten THEN Revision(store', key) >= Revision(store, key) ELSE Revision(store', key) = Revision(store, key) + 1]_vars

\* Section 1: epochs only grow, by one, and an incarnation that ended never comes back.
EpochMonotonic ==
  [][\A n \in Nodes :
       LET m == MemberIn(store, n)  s == MemberIn(store', n)
       IN \/ s.epoch = m.epoch /\ (m.status # "active" => s.status # "active")
          \/ s.epoch = m.epoch + 1]_vars

\* What the stamped keys of one doubt prove does not contradict itself.
EvidenceAgrees == \A k \in Calls : InDoubt(k) => Own(txn[k]) = {} \/ Taken(txn[k]) = {}

-----------------------------------------------------------------------------
(* Witnesses: what the bounds must let happen.                             *)

Writes == {w \in wire : ~w.fence}

\* A commit is applied after its call was answered.
NeverLate == [][\A w \in Writes \ wire' : store' # store => txn[w.call].phase # "over"]_vars

\* A commit is applied at another time than its clock was read.
NeverStale == [][\A w \in Writes \ wire' : store' # store => w.read = now]_vars

\* A client finds its own write after an unknown outcome, ...
NeverOwnWrite == \A k \in Calls : InDoubt(k) => Judge(txn[k]) # "applied"

\* ... or has to say that it cannot know, ...
NeverUndecided == \A k \in Calls : InDoubt(k) => Judge(txn[k]) # "hidden"

\* ... or finds that the version window has settled what was on its way, ...
NeverByWindow == \A k \in Calls : InDoubt(k) => ~(Untouched(txn[k]) # {} /\ Taken(txn[k]) = {} /\ txn[k].doubt.mayApply /\ Over(txn[k]))

\* ... or that its fence has, ...
NeverByFence ==
  [][\A k \in Calls : txn[k].phase = "fencing" /\ txn'[k].phase = "read" => txn'[k].doubt = txn[k].doubt]_vars

\* ... or times out, while the commit may still be applied.
NeverFenceTimesOut ==
  \A k \in Calls : ~(InDoubt(k) /\ txn[k].doubt.mayApply /\ txn[k].sent > txn[k].doubt.sent /\ \E w \in wire : w.call = k /\ w.fence)

\* One key decides where another is hidden.
NeverOneKeyDecides ==
  \A k \in Calls : InDoubt(k) =>
    LET t == txn[k]
    IN Own(t) \cup Taken(t) \cup Untouched(t) \in {{}, DOMAIN t.doubt.base}

\* A claim finds that the record that it may have made may have been forgotten.
NeverOvertaken == \A k \in Calls : InDoubt(k) => ~(txn[k].doubt.above /\ Judge(txn[k]) = "hidden" /\ ~There(txn[k].snap, txn[k].q.actor))

\* Two commits on the wire would both pass the conflict check.
NeverContended == \A w, x \in Writes : Valid(w) /\ Valid(x) => w = x

\* A call's attempts are used up after one of them had a doubt that ended well.
NeverExhausted ==
  [][\A k \in Calls : txn'[k].phase = "over" /\ txn[k].phase = "read" /\ txn[k].doubt = NoDoubt /\ txn[k].sent > 0
       => txn'[k].answer # S!Nothing]_vars

\* A conflict is found.
NeverConflicts == [][\A w \in wire \ wire' : ~Valid(w) => faults' < faults]_vars

\* A commit without a conflict is refused, and its client is told.
NeverRefused == [][\A w \in Writes \ wire' : Valid(w) /\ ver' = ver /\ faults' < faults => txn'[w.call].doubt # NoDoubt]_vars

\* The outcome of a commit gets lost: it was applied, ...
NeverLosesAnswer == [][faults' < faults => ver' = ver]_vars

\* ... or it was not.
NeverLosesCommit == [][\A w \in Writes \ wire' : Valid(w) /\ ver' = ver => txn'[w.call].doubt = NoDoubt]_vars

\* A client stops to wait.
NeverTimesOut == [][faults' < faults => wire' # wire]_vars
=============================================================================
