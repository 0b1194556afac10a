-------------------------- MODULE ClaimTxnService --------------------------
(***************************************************************************)
(* The registry as its clients see it: calls that begin, take effect at    *)
(* one instant, and are answered.  It is the definition of linearizability *)
(* for an actor, or a batch of them, and the nodes: invocation and answer  *)
(* of a call are separate events, and between them the registry changes at *)
(* most once on its behalf, in one step whose guards and effects are       *)
(* Registry's own.                                                         *)
(*                                                                         *)
(* Two things make it wider than Registry, and both are real.  A call      *)
(* reads its clock at some moment between invocation and effect, so the    *)
(* reading may be stale when the effect comes.  And an answer may be       *)
(* ambiguous: the effect of a settled call has come by then or never will, *)
(* that of one that may still apply can come at any later time.            *)
(***************************************************************************)
EXTENDS Integers

CONSTANTS Calls,            \* identities of calls
          Nodes, Actors,
          TTL, Grace,
          Skew,             \* bound on the distance of any clock from true time
          Margin,           \* between lapsed and reclaimable
          FailureTimeout

VARIABLES now,      \* true time
          world,    \* the records, the registrations, and what guarded writes left
          call,     \* call -> [q, since, done] while it is open, or Idle
          view,     \* call -> a world that it looked at while it was open, or NoView
          late,     \* effects of ended calls that may still come
          answer    \* call -> its answer, or NoAnswer

vars == <<now, world, call, view, late, answer>>

Idle   == [phase |-> "idle"]
NoView == [phase |-> "none"]

\* readings of a clock that were possible at some time in from..to
Readings(from, to) == (from - Skew) .. (to + Skew)

-----------------------------------------------------------------------------
(* The sequential registry.  A world W is [record, member, state, floor]:  *)
(* actor to record, node to registration, actor to the token of the        *)
(* guarded write that came last, and the numbers above which an actor      *)
(* without a record starts.  A(W) is the registry that has these records and  *)
(* registrations: what it answers and what follows is RegistryAnswers'.    *)
(* Here an expiry is an absolute time and a reading is one too: the guards *)
(* only compare.                                                           *)

A(W) == INSTANCE RegistryAnswers WITH
  record <- W.record, member <- W.member,
  ClaimIDs <- {1}, Instances <- {0}, Eps <- Skew, MaxToken <- 99, MaxEpoch <- 99, MaxVersion <- 99, MaxWrites <- 0,
  Joined <- {}, Acts <- {}, Dropped <- {}, clock <- 0, proc <- 0, lease <- 0, tenure <- 0, writes <- 0, last <- 0

NoWorld  == [record |-> 0, member |-> 0, state |-> 0, floor |-> 0]
Nobody   == A(NoWorld)!Nobody
NoRecord == A(NoWorld)!NoRecord
NoMember == A(NoWorld)!NoMember
Ref(n, e) == A(NoWorld)!Ref(n, e)

Done(r)  == A(NoWorld)!Ok(r, NoMember)
Ambiguous(how) == [reason |-> how, record |-> NoRecord, member |-> NoMember]

NoAnswer == [reason |-> "none"]
Nothing  == Ambiguous("nothing")     \* it did not happen, and it will not
Settled  == Ambiguous("settled")     \* it happened, or it never will
MayApply == Ambiguous("mayApply")    \* it happened, or it may still

Reads == {"Lookup", "GetNode", "Validate"}

(* Answered well without an effect: the repetition of the claim that began *)
(* this tenure, of the release that ended it, of the live registration, of *)
(* a failure found before; and every read.                                 *)
Repeats(e, W) ==
  CASE e.op = "Claim"        -> A(W)!ClaimRepeats(W.record[e.actor], e.node, e.claim, e.now)
    [] e.op = "Release"      -> A(W)!ReleaseRepeats(W.record[e.actor], e.token)
    [] e.op = "RegisterNode" -> A(W)!RegisterRepeats(W.member[e.node.id], e.instance)
    [] e.op = "MarkFailed"   -> A(W)!Standing(W.member[e.node.id], e.node.epoch) = "failed"
    [] OTHER                 -> e.op \in Reads

(* What becomes of a call q of RegistryAnswers in the world W, made with   *)
(* the clock reading c: [changes, world, answer].                          *)
One(q, W, c) ==
  LET e       == [q EXCEPT !.now = c]
      changes == A(W)!Refusal(e) = "" /\ ~Repeats(e, W)
  IN [changes |-> changes, answer |-> A(W)!Expected(e),
      world   |-> IF ~changes THEN W
                  ELSE [W EXCEPT !.record[e.actor] = A(W)!RecordAfter(e), !.member[e.node.id] = A(W)!MemberAfter(e)]]

(* A write in a transaction of the application's, guarded by a lease.      *)
Write(q, W) ==
  LET refusal == A(W)!Tenured(W.record[q.actor], q.node, q.token, "")
  IN IF refusal # "" THEN [changes |-> FALSE, world |-> W, answer |-> A(W)!Refused(refusal)]
     ELSE [changes |-> TRUE, world |-> [W EXCEPT !.state[q.actor] = q.token], answer |-> Done(NoRecord)]

(* A batch renews what it may, all of it in one step, and answers for each *)
(* lease.  q.leases is the function from its actors to their tokens.       *)
Batch(q, W, c) ==
  LET one(a)  == One([q EXCEPT !.op = "Renew", !.actor = a, !.token = q.leases[a]], W, c)
      renewed == {a \in DOMAIN q.leases : one(a).changes}
  IN [changes |-> renewed # {},
      world   |-> [W EXCEPT !.record = [a \in Actors |-> IF a \in renewed THEN one(a).world.record[a] ELSE W.record[a]]],
      answer  |-> [reason |-> "each", of |-> [a \in DOMAIN q.leases |-> one(a).answer]]]

(* A purge forgets one record that nobody will miss, if there is one, and  *)
(* raises the floor above it.  An actor without a record stands for the    *)
(* floor.                                                                  *)
Over(x, y) == IF x < y THEN y ELSE x

Absent(r) == r = [NoRecord EXCEPT !.token = r.token, !.version = r.version]

Purge(q, W, c) ==
  LET r == W.record[q.actor]
      f == [token |-> Over(W.floor.token, r.token), version |-> Over(W.floor.version, r.version)]
  IN IF Absent(r) \/ ~A(W)!PurgeGuard(r, f.token, f.version, c)
     THEN [changes |-> FALSE, world |-> W, answer |-> Ambiguous("none")]
     ELSE [changes |-> TRUE, answer |-> Ambiguous("one"),
           world   |-> [W EXCEPT !.floor = f, !.record = [a \in Actors |->
                          IF a = q.actor \/ Absent(W.record[a]) THEN A(W)!PurgeEffect(f.token, f.version) ELSE W.record[a]]]]

Outcome(q, W, c) ==
  CASE q.op = "RenewBatch" -> Batch(q, W, c)
    [] q.op = "Purge"      -> Purge(q, W, c)
    [] q.op = "Write"      -> Write(q, W)
    [] OTHER               -> One(q, W, c)

-----------------------------------------------------------------------------
(* An open call is [q, since, done]: the request, the true time of its     *)
(* invocation, and the answer that its effect gave, NoAnswer while it has  *)
(* had none.                                                               *)

\* Initially there is any world, nobody has called, and nothing is under way.
Init ==
  /\ call = [k \in Calls |-> Idle] /\ view = [k \in Calls |-> NoView]
  /\ late = {} /\ answer = [k \in Calls |-> NoAnswer]

Advance == now' = now + 1 /\ UNCHANGED <<world, call, answer>>

Invoke(k) ==
  /\ call[k] = Idle /\ answer[k] = NoAnswer /\ call'[k] # Idle
  /\ call' = [call EXCEPT ![k] = [q |-> call'[k].q, since |-> now, done |-> NoAnswer]]
  /\ UNCHANGED <<now, world, answer>>

Happens(q, since, a) ==
  \E c \in Readings(since, now) :
    LET o == Outcome(q, world, c)
    IN o.changes /\ world' = o.world /\ a = o.answer

(* The one step in which an open call changes the registry.  It may be     *)
(* answered in the same step: that is the earliest answer, and a later one *)
(* promises less.                                                          *)
TakeEffect(k) ==
  /\ call[k] # Idle /\ call[k].done = NoAnswer
  /\ IF call'[k] = Idle
     THEN /\ Happens(call[k].q, call[k].since, answer'[k])
          /\ call' = [call EXCEPT ![k] = Idle]
          /\ answer' = [answer EXCEPT ![k] = answer'[k]]
     ELSE /\ Happens(call[k].q, call[k].since, call'[k].done)
          /\ call' = [call EXCEPT ![k].done = call'[k].done]
          /\ UNCHANGED answer
  /\ UNCHANGED now

TakeEffectLate(o) ==
  /\ \E c \in Readings(o.since, now) :
       Outcome(o.q, world, c).changes /\ world' = Outcome(o.q, world, c).world
  /\ o \notin late'
  /\ UNCHANGED <<now, call, answer>>

\* Which answers are true: what the call did, or why it did nothing.
Truthful(k, a) ==
  CASE a = Nothing -> call[k].done = NoAnswer
    [] a \in {Settled, MayApply} -> TRUE
    [] OTHER -> \/ a = call[k].done
                \/ /\ call[k].done = NoAnswer /\ view[k] # NoView
                   /\ \E c \in Readings(call[k].since, now) :
                        LET o == Outcome(call[k].q, view[k], c)
                        IN ~o.changes /\ a = o.answer

Respond(k) ==
  /\ call[k] # Idle /\ answer'[k] # NoAnswer
  /\ call' = [call EXCEPT ![k] = Idle]
  /\ Truthful(k, answer'[k])
  /\ answer' = [answer EXCEPT ![k] = answer'[k]]
  /\ UNCHANGED <<now, world>>

\* An open call may look at the world at any time, before or after a step.
Looks ==
  \A k \in Calls : view'[k] \in {view[k], NoView} \cup IF call'[k] = Idle THEN {} ELSE {world, world'}

\* What may still come can get lost in any step, and only an answer that
\* says so adds to it.
Orphans ==
  {[q |-> call[k].q, since |-> call[k].since] :
     k \in {j \in Calls : call[j] # Idle /\ call'[j] = Idle /\ answer'[j] = MayApply /\ call[j].done = NoAnswer}}

Next ==
  /\ \/ Advance
     \/ \E k \in Calls : Invoke(k) \/ TakeEffect(k) \/ Respond(k)
     \/ \E o \in late : TakeEffectLate(o)
     \/ UNCHANGED <<now, world, call, answer>>
  /\ Looks
  /\ late' \subseteq late \cup Orphans

Spec == Init /\ [][Next]_vars
=============================================================================
