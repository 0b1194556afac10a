-------------------------- MODULE ClaimTxnService --------------------------
(***************************************************************************)
(* The registry as its clients see it: calls that begin, take effect at    *)
(* one instant, and are answered.  It is the definition of linearizability *)
(* for one actor: a call's invocation and its answer are separate events,  *)
(* and between them the record changes at most once on its behalf, in one  *)
(* step that is Registry's action: guards and effects are Registry's own.  *)
(*                                                                         *)
(* Two things make it wider than Registry, and both are real.  A call      *)
(* reads its clock at some moment between invocation and effect, so the    *)
(* reading may be stale when the effect comes.  And an answer may be       *)
(* ambiguous: the effect of a settled call has come by then or never will, *)
(* that of one that may still apply can come at any later time.            *)
(***************************************************************************)
EXTENDS Integers

CONSTANTS Nodes, TTL, Grace,
          Skew,     \* bound on the distance of any clock from true time
          Margin    \* between lapsed and reclaimable

VARIABLES now,      \* true time
          rec,      \* the actor's record
          failed,   \* nodes marked failed
          call,     \* node -> its open call, or Idle
          late,     \* effects of ended calls that may still come
          answer    \* node -> answer of its last call, or NoAnswer

vars == <<now, rec, failed, call, late, answer>>

(* Registry's pure operators, its variables left without meaning.  Here an *)
(* expiry is an absolute time and a reading too: the guards only compare.  *)
R == INSTANCE Registry WITH
  Actors <- {"a"}, ClaimIDs <- {1}, Instances <- {0}, Eps <- Skew, FailureTimeout <- 2 * Skew + 1,
  MaxToken <- 99, MaxEpoch <- 1, MaxVersion <- 99, MaxWrites <- 0, Joined <- Nodes, Acts <- {}, Dropped <- {},
  clock <- 0, proc <- 0, member <- 0, record <- 0, lease <- 0, tenure <- 0, writes <- 0

NoClaim  == 0
NoRecord == [R!NoRecord EXCEPT !.expiry = 0]
Idle     == [phase |-> "idle"]
NoAnswer == [kind |-> "none"]
Ref(n)   == R!Ref(n, 1)
Member(n, f) == [epoch |-> 1, status |-> IF n \in f THEN "failed" ELSE "active", seen |-> 0, instance |-> 0]

\* readings of a clock that were possible at some time in from..to
Readings(from, to) == (from - Skew) .. (to + Skew)

(* A request q is [node, op, id, token, to]: who asks for what, with the   *)
(* claim id of a Claim, the tenure's token of the others, the new holder   *)
(* of a Transfer.  Refusal names the first of Registry's conjuncts that    *)
(* fails on record r, failed nodes f and reading c, in the contract's      *)
(* order; "none" when the action is enabled.                               *)
TenureRefusal(q, r) ==
  CASE ~R!TokenCurrent(r, q.token)            -> "TokenCurrent"
    [] ~R!TenureHeld(r, Ref(q.node), q.token) -> "TenureHeld"
    [] OTHER                                  -> "none"

Refusal(q, r, f, c) ==
  CASE q.op \in {"Claim", "Transfer"} /\ ~R!NodeNotFailed(Member(q.to, f), 1) -> "NodeNotFailed"
    [] q.op = "Claim" -> IF R!Claimable(r, c) THEN "none" ELSE "Claimable"
    [] q.op = "Lookup" -> "none"
    [] TenureRefusal(q, r) # "none" -> TenureRefusal(q, r)
    [] q.op = "Renew" /\ ~R!NotLapsed(r, c) -> "NotLapsed"
    [] q.op = "Transfer" /\ ~R!StillLive(r, c) -> "StillLive"
    [] OTHER -> "none"

Effect(q, r, c) ==
  CASE q.op = "Claim"    -> R!ClaimEffect(r, Ref(q.node), q.id, c)
    [] q.op = "Renew"    -> R!RenewEffect(r, c)
    [] q.op = "Release"  -> R!ReleaseEffect(r)
    [] q.op = "Transfer" -> R!TransferEffect(r, Ref(q.to), c)

(* Answered well without an effect: the repetition of the claim that began *)
(* this tenure or of the release that ended it, and a read.                *)
Repeats(q, r, c) ==
  CASE q.op = "Claim"   -> R!ClaimRepeats(r, Ref(q.node), q.id, c)
    [] q.op = "Release" -> r.version > 0 /\ r.holder = R!Nobody /\ r.token = q.token
    [] q.op = "Lookup"  -> TRUE
    [] OTHER            -> FALSE

Ok(r)           == [kind |-> "ok", rec |-> r]
Refused(reason) == [kind |-> "refused", reason |-> reason]
Nothing         == [kind |-> "nothing"]           \* it did not happen
Settled(q)      == [kind |-> "settled", id |-> q.id]
MayApply(q)     == [kind |-> "mayApply", id |-> q.id]

-----------------------------------------------------------------------------
(* An open call is [q, since, view, done]: the request, the true time of   *)
(* its invocation, what it last looked at, and the record that its effect  *)
(* left, NoRecord while it has had none.                                   *)

Init ==
  /\ now = 0 /\ rec = NoRecord /\ failed = {}
  /\ call = [n \in Nodes |-> Idle] /\ late = {} /\ answer = [n \in Nodes |-> NoAnswer]

View == [rec |-> rec, failed |-> failed]

Advance == now' = now + 1 /\ UNCHANGED <<rec, failed, call, answer>>

MarkFailed(n) == failed' = failed \cup {n} /\ UNCHANGED <<now, rec, call, answer>>

Invoke(n) ==
  /\ call[n] = Idle /\ call'[n] # Idle
  /\ call'[n].q.node = n
  /\ call' = [call EXCEPT ![n] = [q |-> call'[n].q, since |-> now, view |-> View, done |-> NoRecord]]
  /\ answer' = [answer EXCEPT ![n] = NoAnswer]
  /\ UNCHANGED <<now, rec, failed>>

Look(n) ==
  /\ call[n] # Idle
  /\ call' = [call EXCEPT ![n].view = View]
  /\ UNCHANGED <<now, rec, failed, answer>>

Happens(q, since) ==
  \E c \in Readings(since, now) :
    /\ Refusal(q, rec, failed, c) = "none"
    /\ ~Repeats(q, rec, c)
    /\ rec' = Effect(q, rec, c)

\* The one step in which an open call changes the record.
TakeEffect(n) ==
  /\ call[n] # Idle /\ call[n].done = NoRecord
  /\ Happens(call[n].q, call[n].since)
  /\ call' = [call EXCEPT ![n].done = rec']
  /\ UNCHANGED <<now, failed, answer>>

TakeEffectLate(o) ==
  /\ Happens(o.q, o.since)
  /\ o \notin late'
  /\ UNCHANGED <<now, failed, call, answer>>

\* Which answers are true: what the call did, or why it did nothing.
Truthful(k, a) ==
  LET readings == Readings(k.since, now)
  IN CASE a.kind = "ok" -> IF k.done # NoRecord THEN a.rec = k.done
                           ELSE a.rec = k.view.rec /\ \E c \in readings : Repeats(k.q, a.rec, c)
       [] a.kind = "refused" -> /\ k.done = NoRecord /\ a.reason # "none"
                                /\ \E c \in readings : a.reason = Refusal(k.q, k.view.rec, k.view.failed, c)
       [] a.kind = "nothing" -> k.done = NoRecord
       [] OTHER -> a.kind \in {"settled", "mayApply"}

Respond(n) ==
  /\ call[n] # Idle
  /\ call' = [call EXCEPT ![n] = Idle]
  /\ Truthful(call[n], answer'[n])
  /\ answer' = [answer EXCEPT ![n] = answer'[n]]
  /\ UNCHANGED <<now, rec, failed>>

(* What may still come can get lost in any step, and only an answer that   *)
(* says so adds to it.                                                     *)
Orphans ==
  {[q |-> call[n].q, since |-> call[n].since] :
     n \in {m \in Nodes : call[m] # Idle /\ call'[m] = Idle /\ answer'[m].kind = "mayApply" /\ call[m].done = NoRecord}}

Next ==
  /\ \/ Advance
     \/ \E n \in Nodes : MarkFailed(n) \/ Invoke(n) \/ Look(n) \/ TakeEffect(n) \/ Respond(n)
     \/ \E o \in late : TakeEffectLate(o)
     \/ UNCHANGED <<now, rec, failed, call, answer>>
  /\ late' \subseteq late \cup Orphans

Spec == Init /\ [][Next]_vars
=============================================================================
