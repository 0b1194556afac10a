-------------------------- MODULE ClaimTxnService --------------------------
(* The registry as its clients see it: calls that begin, take effect at one *)
(* instant, and answer.  It is what ClaimTxn must refine, and so it is the  *)
(* definition of linearizability for one actor: a call's invocation and its *)
(* answer are separate events, and between them the record changes at most  *)
(* once on its behalf, in one step that is exactly Registry's action.       *)
(*                                                                          *)
(* Two things make it wider than an atomic registry, and both are real.     *)
(* A call reads its clock at some moment between invocation and effect, so  *)
(* the reading may be stale when the effect comes.  And an answer may be    *)
(* "ambiguous": a settled call's effect has happened by then or never will, *)
(* one that may still apply stays in `late' and can come at any later time. *)
EXTENDS Integers

CONSTANTS Nodes, TTL, Grace, Skew

VARIABLES now,      \* true time
          rec,      \* the actor's record
          failed,   \* nodes marked failed
          call,     \* node -> its open call, or Idle
          late,     \* effects of ended calls that may still come
          answer    \* node -> answer of its last call, or NoAnswer

vars == <<now, rec, failed, call, late, answer>>

-----------------------------------------------------------------------------
(* The record and the decisions, as in Registry: pure, and shared with      *)
(* ClaimTxn, which evaluates them on a snapshot instead of on the record.   *)

None     == "none"
NoClaim  == << >>
Idle     == "idle"
NoAnswer == [kind |-> "none"]
NoRecord == [holder |-> None, token |-> 0, version |-> 0, expiry |-> 0, claim |-> NoClaim]

Live(r, c)        == c < r.expiry
Lapsed(r, c)      == c >= r.expiry + Grace
Reclaimable(r, c) == c >= r.expiry + Grace + 2 * Skew

\* readings of a clock that were possible at some time in from..to
Readings(from, to) == (from - Skew) .. (to + Skew)

\* A request is [node, op, id, token, to]: who asks, what, the claim id of a
\* Claim, the tenure's token of the others, the new holder of a Transfer.
TenureRefusal(q, r) ==
    CASE q.token < r.token                          -> "Fenced"
      [] q.token > r.token \/ r.holder # q.node     -> "NotHeld"
      [] OTHER                                      -> "no"

\* Why the request is refused on record r, failed nodes f and clock reading c.
Refusal(q, r, f, c) ==
    CASE q.op = "Claim" ->
            IF q.node \in f THEN "NodeFailed"
            ELSE IF r.holder # None /\ ~Reclaimable(r, c) THEN "Held" ELSE "no"
      [] q.op = "Renew" ->
            IF TenureRefusal(q, r) # "no" THEN TenureRefusal(q, r)
            ELSE IF Lapsed(r, c) THEN "Lapsed" ELSE "no"
      [] q.op = "Release" -> TenureRefusal(q, r)
      [] q.op = "Transfer" ->
            IF q.to \in f THEN "NodeFailed"
            ELSE IF TenureRefusal(q, r) # "no" THEN TenureRefusal(q, r)
            ELSE IF ~Live(r, c) THEN "Lapsed" ELSE "no"
      [] q.op = "Lookup" -> "no"

Grant(r, holder, id, c) ==
    [holder |-> holder, token |-> r.token + 1, version |-> r.version + 1, expiry |-> c + TTL, claim |-> id]

\* The record after the request took effect on r.
Effect(q, r, c) ==
    CASE q.op = "Claim"    -> Grant(r, q.node, q.id, c)
      [] q.op = "Renew"    -> [r EXCEPT !.version = @ + 1, !.expiry = IF c + TTL > @ THEN c + TTL ELSE @]
      [] q.op = "Release"  -> [r EXCEPT !.version = @ + 1, !.holder = None]
      [] q.op = "Transfer" -> Grant(r, q.to, NoClaim, c)

\* A request that is answered well without an effect: the repetition of the
\* claim that began this tenure or of the release that ended it, and a read.
Repeats(q, r, c) ==
    CASE q.op = "Claim"   -> r.holder = q.node /\ r.claim = q.id /\ ~Lapsed(r, c)
      [] q.op = "Release" -> r.version > 0 /\ r.holder = None /\ r.token = q.token
      [] q.op = "Lookup"  -> TRUE
      [] OTHER            -> FALSE

Granted(r)      == [kind |-> "ok", rec |-> r]
Refused(reason) == [kind |-> "refused", reason |-> reason]
Nothing         == [kind |-> "nothing"]
Settled         == [kind |-> "settled"]
MayStillApply   == [kind |-> "mayStillApply"]

-----------------------------------------------------------------------------
(* An open call is [q, since, view, done]: the request, the true time of    *)
(* its invocation, what it last looked at, and the record that its effect   *)
(* left, NoRecord while it had none.                                        *)

Init ==
    /\ now = 0 /\ rec = NoRecord /\ failed = {}
    /\ call = [n \in Nodes |-> Idle] /\ late = {} /\ answer = [n \in Nodes |-> NoAnswer]

\* What may still come can get lost at any time; nothing but an answer adds to it.
MayLose(set) == late' \subseteq set

View == [rec |-> rec, failed |-> failed]

Advance == now' = now + 1 /\ MayLose(late) /\ UNCHANGED <<rec, failed, call, answer>>

MarkFailed(n) ==
    /\ failed' = failed \cup {n}
    /\ MayLose(late) /\ UNCHANGED <<now, rec, call, answer>>

Invoke(n) ==
    /\ call[n] = Idle /\ call'[n] # Idle
    /\ call' = [call EXCEPT ![n] = [q |-> call'[n].q, since |-> now, view |-> View, done |-> NoRecord]]
    /\ call'[n].q.node = n
    /\ answer' = [answer EXCEPT ![n] = NoAnswer]
    /\ MayLose(late) /\ UNCHANGED <<now, rec, failed>>

Look(n) ==
    /\ call[n] # Idle
    /\ call' = [call EXCEPT ![n].view = View]
    /\ MayLose(late) /\ UNCHANGED <<now, rec, failed, answer>>

\* The one step in which a call changes the record.
TakeEffect(n) ==
    /\ call[n] # Idle /\ call[n].done = NoRecord
    /\ LET q == call[n].q IN
       \E c \in Readings(call[n].since, now) :
          /\ Refusal(q, rec, failed, c) = "no"
          /\ ~Repeats(q, rec, c)
          /\ rec' = Effect(q, rec, c)
    /\ call' = [call EXCEPT ![n].done = rec']
    /\ MayLose(late) /\ UNCHANGED <<now, failed, answer>>

TakeEffectLate(o) ==
    /\ \E c \in Readings(o.since, now) :
          /\ Refusal(o.q, rec, failed, c) = "no"
          /\ ~Repeats(o.q, rec, c)
          /\ rec' = Effect(o.q, rec, c)
    /\ MayLose(late \ {o}) /\ UNCHANGED <<now, failed, call, answer>>

Orphan(n) == [q |-> call[n].q, since |-> call[n].since]

\* Which answers are true: each names what the call did, or why it did nothing.
Truthful(n, a) ==
    LET q == call[n].q  v == call[n].view  done == call[n].done
        readings == Readings(call[n].since, now)
    IN CASE a.kind = "ok"      -> \/ a.rec = done /\ done # NoRecord
                                  \/ done = NoRecord /\ a.rec = v.rec /\ \E c \in readings : Repeats(q, v.rec, c)
         [] a.kind = "refused" -> /\ done = NoRecord
                                  /\ \E c \in readings : a.reason = Refusal(q, v.rec, v.failed, c)
                                  /\ a.reason # "no"
         [] a.kind = "nothing" -> done = NoRecord
         [] OTHER              -> TRUE

Respond(n) ==
    /\ call[n] # Idle
    /\ call' = [call EXCEPT ![n] = Idle]
    /\ Truthful(n, answer'[n])
    /\ answer' = [answer EXCEPT ![n] = answer'[n]]
    /\ MayLose(IF answer'[n].kind = "mayStillApply" /\ call[n].done = NoRecord
               THEN late \cup {Orphan(n)} ELSE late)
    /\ UNCHANGED <<now, rec, failed>>

Next ==
    \/ Advance
    \/ \E n \in Nodes : MarkFailed(n) \/ Invoke(n) \/ Look(n) \/ TakeEffect(n) \/ Respond(n)
    \/ \E o \in late : TakeEffectLate(o)

Spec == Init /\ [][Next]_vars
=============================================================================
