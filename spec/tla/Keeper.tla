------------------------------- MODULE Keeper -------------------------------
(***************************************************************************)
(* The client's side of a lease: a node claims, works under the lease,     *)
(* renews it, and stops working in time.  The guarded work of two nodes    *)
(* must never overlap, whatever gets lost and however late an answer       *)
(* comes; and a holder that can reach the registry must not lose its lease.*)
(*                                                                         *)
(* What a keeper knows is its clock, and the answers that it gets.  It     *)
(* reads its clock before it sends a request.  A granted lease lets it     *)
(* work until a deadline on its own clock: that reading plus TTL, and no   *)
(* later than the expiry in the answer.  The first bound is not enough: a  *)
(* claim that is repeated after a lost answer is answered with the tenure  *)
(* that began earlier, and a clock may have stepped back since it was      *)
(* read.  The second is enough, as one configuration shows; the first      *)
(* needs no word of the registry's.  A failure moves no deadline.          *)
(*                                                                         *)
(* A keeper that gives its lease up, by a release or a hand-over, stops    *)
(* its work before it asks: from then on another may be granted the actor, *)
(* whether or not the keeper hears of it.  Whom an actor was handed to     *)
(* adopts it: it renews the lease and works when that is answered.         *)
(*                                                                         *)
(* Time is relative to the present, as in Registry: Tick counts every      *)
(* instant down to a floor below which no guard can tell values apart.     *)
(* Clocks have no memory: a reading is any value in -Eps..Eps.  There are  *)
(* no tokens: a lease or message says whether it is of the running tenure, *)
(* and a grant turns that off in all others.                               *)
(*                                                                         *)
(* Work stops when the keeper says so: the model assumes that a process    *)
(* cancels its work before any reading of its clock is past the deadline.  *)
(* A process that pauses at the wrong moment breaks that assumption; what  *)
(* it then still writes is Registry's NoStaleWrite, not a question of time.*)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS Nodes, TTL, Grace, Eps, Margin,
          SafetyMargin, \* how long before the lease's end the work stops; 0 is safe
          ByReading,    \* whether the reading before the request bounds the deadline, besides the expiry
          RenewAfter,   \* ticks after which a lease is to be renewed
          Prompt,       \* whether due requests are sent and answered within a tick
          GiveUps,      \* how a keeper may give up its lease: by "release", by "transfer"
          MaxFaults,    \* requests and answers that get lost or late
          MaxCrashes,
          MaxLate,      \* requests on their way for which nobody waits
          Dropped, Bugs

VARIABLES record,   \* [holder, expiry, again]; again: the holder's next claim repeats this tenure's
          keeper,   \* node -> [up, work, deadline, current, rests]
          net,      \* requests: [node, kind, to, before, current, state, expiry, waits]
          faults, crashes

vars == <<record, keeper, net, faults, crashes>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

Min(x, y) == IF x < y THEN x ELSE y
Max(x, y) == IF x > y THEN x ELSE y

R == INSTANCE Registry WITH
  Actors <- {"a"}, ClaimIDs <- {1}, Instances <- {0}, FailureTimeout <- 2 * Eps + 1, MaxToken <- 1, MaxEpoch <- 1, MaxVersion <- 1,
  MaxWrites <- 0, Joined <- Nodes, Acts <- {}, Dropped <- {},
  clock <- 0, proc <- 0, member <- 0, record <- 0, lease <- 0, tenure <- 0, writes <- 0

None          == "none"
Readings      == R!Readings
ExpiryFloor   == R!ExpiryFloor
DeadlineFloor == -Eps                \* passed by every reading
BeforeFloor   == -(TTL + Eps)        \* a deadline from it is passed by every reading

Idle == [up |-> TRUE, work |-> FALSE, deadline |-> DeadlineFloor, current |-> FALSE, rests |-> FALSE]

Init ==
  /\ record = [holder |-> None, expiry |-> ExpiryFloor, again |-> FALSE]
  /\ keeper = [n \in Nodes |-> Idle]
  /\ net = {}
  /\ faults = MaxFaults /\ crashes = MaxCrashes

Waiting(n) == {m \in net : m.node = n /\ m.waits}
LateOf(n)  == {m \in net : m.node = n /\ ~m.waits}

-----------------------------------------------------------------------------
(* The registry.  A request is processed with one reading of its node's    *)
(* clock, made on the way: after the one that the keeper made before.      *)

\* The end of a tenure, or a grant, which ends every earlier one.
Outdated(set) == {[m EXCEPT !.current = FALSE] : m \in set}

\* Nobody hears the answer to a request for which nobody waits.
Replied(m, state, expiry, current) ==
  IF m.waits THEN {[m EXCEPT !.state = state, !.expiry = expiry, !.current = current]} ELSE {}

Refuse(m) == net' = (net \ {m}) \cup Replied(m, "refused", DeadlineFloor, FALSE) /\ UNCHANGED <<record, keeper>>

ProcessClaim(m, c) ==
  LET n == m.node  others == net \ {m}
  IN IF record.holder = n /\ record.again /\ ~R!Lapsed(record, c)
     THEN /\ net' = others \cup Replied(m, "ok", Max(record.expiry, DeadlineFloor), TRUE)
          /\ UNCHANGED <<record, keeper>>
     ELSE IF record.holder = None \/ R!Reclaimable(record, c)
     THEN /\ record' = [holder |-> n, expiry |-> c + TTL, again |-> keeper[n].up]
          /\ net' = Outdated(others) \cup Replied(m, "ok", c + TTL, TRUE)
          /\ keeper' = [k \in Nodes |-> [keeper[k] EXCEPT !.current = FALSE]]
     ELSE Refuse(m)

ProcessRenew(m, c) ==
  LET others == net \ {m}  until == Max(record.expiry, c + TTL)
  IN IF m.current /\ ~R!Lapsed(record, c)
     THEN /\ record' = [record EXCEPT !.expiry = until]
          /\ net' = others \cup Replied(m, "ok", until, TRUE)
          /\ UNCHANGED keeper
     ELSE Refuse(m)

ProcessRelease(m) ==
  IF m.current
  THEN /\ record' = [record EXCEPT !.holder = None, !.again = FALSE]
       /\ net' = Outdated(net \ {m}) \cup Replied(m, "ok", DeadlineFloor, FALSE)
       /\ keeper' = [k \in Nodes |-> [keeper[k] EXCEPT !.current = FALSE]]
  ELSE Refuse(m)

(* The lease is in the receiver's hand from the grant on: that it is told  *)
(* later only means that it adopts the lease later.                        *)
ProcessTransfer(m, c) ==
  IF m.current /\ R!Live(record, c)
  THEN /\ record' = [holder |-> m.to, expiry |-> c + TTL, again |-> FALSE]
       /\ net' = Outdated(net \ {m}) \cup Replied(m, "ok", DeadlineFloor, FALSE)
       /\ keeper' = [k \in Nodes |-> [keeper[k] EXCEPT !.current = k = m.to /\ keeper[k].up]]
  ELSE Refuse(m)

Processed(m, c) ==
  /\ m.state = "sent"
  /\ CASE m.kind = "claim"              -> ProcessClaim(m, c)
       [] m.kind \in {"renew", "adopt"} -> ProcessRenew(m, c)
       [] m.kind = "release"            -> ProcessRelease(m)
       [] m.kind = "transfer"           -> ProcessTransfer(m, c)

Process ==
  /\ \E m \in net, c \in Readings : Processed(m, c)
  /\ UNCHANGED <<faults, crashes>>

-----------------------------------------------------------------------------
(* The keeper.                                                             *)

Request(n, kind, to, before) ==
  [node |-> n, kind |-> kind, to |-> to, before |-> before, current |-> keeper[n].current,
   state |-> "sent", expiry |-> DeadlineFloor, waits |-> TRUE]

\* The answer may let n work: its clock is read before.
Send(n, kind) == \E before \in Readings : net' = net \cup {Request(n, kind, n, before)}

\* One request at a time, and a rest after one that was refused or failed.
Ready(n) == keeper[n].up /\ (Bug("F13") \/ ~keeper[n].rests) /\ Waiting(n) = {}

SendClaim(n) ==
  /\ Ready(n) /\ ~keeper[n].work
  /\ Send(n, "claim")
  /\ UNCHANGED <<record, keeper, faults, crashes>>

\* Due when the node's clock has come to the lease's age RenewAfter.
Due(n, c) == c >= keeper[n].deadline - (TTL - RenewAfter)

SendRenew(n) ==
  /\ Ready(n) /\ keeper[n].work
  /\ \E c \in Readings : Due(n, c)
  /\ Send(n, "renew")
  /\ UNCHANGED <<record, keeper, faults, crashes>>

SendAdopt(n) ==
  /\ Ready(n) /\ ~keeper[n].work /\ keeper[n].current
  /\ Send(n, "adopt")
  /\ UNCHANGED <<record, keeper, faults, crashes>>

(* The work stops before the registry is asked, for good: whatever becomes *)
(* of the request, the keeper works again only under a lease that it is    *)
(* granted or handed anew.                                                 *)
GiveUp(n, kind, to) ==
  /\ Ready(n) /\ keeper[n].work
  /\ net' = net \cup {Request(n, kind, to, BeforeFloor)}
  /\ keeper' = [keeper EXCEPT ![n] = IF Bug("ReleasesWorking") /\ kind = "release" THEN @
                                     ELSE IF Bug("HandsOverWorking") /\ kind = "transfer" THEN @
                                     ELSE [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, faults, crashes>>

Release(n)      == "release" \in GiveUps /\ GiveUp(n, "release", n)
Transfer(n, to) == "transfer" \in GiveUps /\ to # n /\ GiveUp(n, "transfer", to)

\* How long an answer lets its node work; c is the reading when it came.
Deadline(m, c) ==
  IF Bug("DeadlineAfterAnswer") THEN c + TTL
  ELSE IF Bug("DeadlineByReading") THEN m.before + TTL
  ELSE (IF ByReading THEN Min(m.before + TTL, m.expiry) ELSE m.expiry) - SafetyMargin

AnswerOk(n, m, c) ==
  LET k == keeper[n]  until == Max(Deadline(m, c), DeadlineFloor)
  IN CASE m.kind \in {"claim", "adopt"} ->
            IF Guard("StillTime", c < until)
            THEN [k EXCEPT !.work = TRUE, !.deadline = until, !.current = m.current]
            ELSE [k EXCEPT !.rests = TRUE]
       [] m.kind = "renew" /\ k.work -> [k EXCEPT !.deadline = Max(@, until)]
       [] OTHER -> k      \* it comes too late: the work has stopped

\* A refused renewal says that the lease is lost, and the work stops at once.
AnswerRefused(n, m) ==
  IF m.kind = "claim" THEN [keeper[n] EXCEPT !.rests = TRUE]
  ELSE IF Bug("F10") THEN [keeper[n] EXCEPT !.rests = TRUE] ELSE [Idle EXCEPT !.rests = TRUE]

Hears(n, m, c) ==
  /\ m.state # "sent"
  /\ keeper' = [keeper EXCEPT ![n] = IF m.state = "ok" THEN AnswerOk(n, m, c) ELSE AnswerRefused(n, m)]
  /\ net' = net \ {m}
  /\ record' = IF m.state = "ok" /\ m.current THEN [record EXCEPT !.again = FALSE] ELSE record

Answer(n) ==
  /\ \E m \in Waiting(n), c \in Readings : Hears(n, m, c)
  /\ UNCHANGED <<faults, crashes>>

\* An error: the keeper knows nothing, changes no deadline, and tries again.
Failed(n, c) ==
  [keeper EXCEPT ![n].rests = TRUE,
                 ![n].deadline = IF Bug("DeadlineRestarted") /\ keeper[n].work THEN Max(@, c + TTL) ELSE @]

\* The request or its answer is lost.
Lose(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n), c \in Readings : net' = net \ {m} /\ keeper' = Failed(n, c)
  /\ UNCHANGED <<record, crashes>>

\* The keeper stops to wait; the request arrives later.
StopsWaiting(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n), c \in Readings :
       /\ m.state = "sent"
       /\ net' = (net \ {m}) \cup {[m EXCEPT !.waits = FALSE]}
       /\ keeper' = Failed(n, c)
  /\ UNCHANGED <<record, crashes>>

Timeout(n) == Cardinality(LateOf(n)) < MaxLate /\ StopsWaiting(n)

\* Its clock says that the deadline has come.
StepDown(n) ==
  /\ keeper[n].work /\ ~Bug("F10") /\ ~Bug("NoStepDown")
  /\ \E c \in Readings : c >= keeper[n].deadline
  /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, net, faults, crashes>>

\* A process dies, with all it knows; what it sent is on its way.
Crash(n) ==
  /\ crashes > 0 /\ keeper[n].up
  /\ crashes' = crashes - 1
  /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.up = FALSE]]
  /\ net' = (net \ Waiting(n)) \cup {[m EXCEPT !.waits = FALSE] : m \in {x \in Waiting(n) : x.state = "sent"}}
  /\ record' = IF record.holder = n THEN [record EXCEPT !.again = FALSE] ELSE record
  /\ UNCHANGED faults

Restart(n) ==
  /\ ~keeper[n].up
  /\ keeper' = [keeper EXCEPT ![n] = Idle]
  /\ UNCHANGED <<record, net, faults, crashes>>

-----------------------------------------------------------------------------
(* Time.  It does not pass over a keeper whose every reading says stop;    *)
(* and where requests are prompt, not over one that is due or unanswered.  *)

Overdue(n)  == keeper[n].work /\ ~(\E c \in Readings : c < keeper[n].deadline)
Enforced    == ~Bug("F10") /\ ~Bug("NoStepDown")
Unserved(n) == \/ Waiting(n) # {}
               \/ Ready(n) /\ keeper[n].work /\ \A c \in Readings : Due(n, c)

Down(x, floor) == Max(x - 1, floor)

Tick ==
  /\ Enforced => \A n \in Nodes : ~Overdue(n)
  /\ Prompt => \A n \in Nodes : ~Unserved(n)
  /\ record' = [record EXCEPT !.expiry = Down(@, ExpiryFloor)]
  /\ keeper' = [n \in Nodes |-> [keeper[n] EXCEPT !.deadline = Down(@, DeadlineFloor), !.rests = FALSE]]
  /\ net' = {[m EXCEPT !.before = Down(@, BeforeFloor), !.expiry = Down(@, DeadlineFloor)] : m \in net}
  /\ UNCHANGED <<faults, crashes>>

Next ==
  \/ Tick
  \/ Process
  \/ \E n \in Nodes : SendClaim(n)
  \/ \E n \in Nodes : SendRenew(n)
  \/ \E n \in Nodes : SendAdopt(n)
  \/ \E n \in Nodes : Release(n)
  \/ \E n, to \in Nodes : Transfer(n, to)
  \/ \E n \in Nodes : Answer(n)
  \/ \E n \in Nodes : Lose(n)
  \/ \E n \in Nodes : Timeout(n)
  \/ \E n \in Nodes : StepDown(n)
  \/ \E n \in Nodes : Crash(n)
  \/ \E n \in Nodes : Restart(n)

Spec == Init /\ [][Next]_vars

(* Time passes, the registry processes what reaches it, and every keeper   *)
(* does its part; nothing is asked of losses and crashes but their budget. *)
FairSpec ==
  /\ Spec
  /\ WF_vars(Tick) /\ WF_vars(Process)
  /\ \A n \in Nodes : WF_vars(SendClaim(n)) /\ WF_vars(SendRenew(n)) /\ WF_vars(Answer(n)) /\ WF_vars(StepDown(n)) /\ WF_vars(Restart(n))

-----------------------------------------------------------------------------

(* A keeper that is overdue stops in this instant, unless a bug lets it    *)
(* work on.                                                                *)
Works(n) == keeper[n].work /\ (Enforced => ~Overdue(n))

\* Contract 4.1, for what counts: the work.
NoOverlap == \A n, m \in Nodes : Works(n) /\ Works(m) => n = m

\* Whoever works is the recorded holder under the running tenure.
WorkerIsHolder == \A n \in Nodes : Works(n) => record.holder = n /\ keeper[n].current

\* Contract 6: the deadline is never later than what the registry recorded.
DeadlineRecorded == \A n \in Nodes : keeper[n].work => keeper[n].deadline <= Max(record.expiry, DeadlineFloor)

\* Contract 6: who waits for the answer to a release or a hand-over has stopped.
StopsFirst == \A m \in net : m.waits /\ m.kind \in {"release", "transfer"} => ~keeper[m.node].work

\* No work starts when its deadline has passed.
StartsInTime == [][\A n \in Nodes : keeper'[n].work /\ ~keeper[n].work => \E c \in Readings : c < keeper'[n].deadline]_vars

\* Contract 6, F13: whose claim was refused lets time pass before it asks again,
\* so that the waiters of one lapse do not all ask at once, over and over.
NoStampede == [][\A n \in Nodes : Waiting(n) = {} /\ Waiting(n)' # {} => ~keeper[n].rests]_vars

\* A holder that can reach the registry does not lose its lease.
KeepsLease == [][\A n \in Nodes : keeper[n].work => keeper'[n].work]_vars

\* Contract 4.9: an actor whose holder died is claimed, if anyone keeps trying.
AlwaysServedAgain == []<>(\E n \in Nodes : Works(n))

\* Contract 4.8: no request is open for ever.
EveryRequestEnds == \A n \in Nodes : (Waiting(n) # {}) ~> (Waiting(n) = {})

-----------------------------------------------------------------------------
(* Witnesses: what the bounds must let happen.                             *)

NeverLateRenewal  == ~(\E m \in net : m.kind = "renew" /\ ~m.waits /\ m.current /\ ~keeper[m.node].work)
NeverLateAnswer   == ~(\E m \in net : m.state = "ok" /\ m.waits /\ ~m.current)
NeverUnawareOwner == ~(record.holder # None /\ \A n \in Nodes : ~keeper[n].work)

Symmetric == Permutations(Nodes)
=============================================================================
