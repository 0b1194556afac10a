--------------------------- MODULE KeeperMistakes ---------------------------
(***************************************************************************)
(* Single definitions of Keeper written wrong, which KeeperContract must   *)
(* notice.  The manifest puts each in the place of the right one.          *)
(***************************************************************************)
EXTENDS KeeperContract

\* A grant leaves the marks of earlier tenures.
KeepsMarks(set) == set

\* A release that is refused to its holder.
NeverReleased(m) == Refuse(m)

\* A second request while the first is not answered.
AsksTwice(n) == keeper[n].up /\ ~keeper[n].rests

\* A keeper that may stop at any time stops for nothing.
StopsEarly(n) ==
  /\ keeper[n].work /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, net, faults, crashes>>

\* Who has just begun has to rest.
TiredFirst == [up |-> TRUE, work |-> FALSE, deadline |-> DeadlineFloor, current |-> FALSE, rests |-> TRUE]

-----------------------------------------------------------------------------
(* One part of one step each: what it asks for, or one thing that it       *)
(* changes.                                                                *)

\* A request is processed again after it was answered.
ProcessesAgain(m, c) ==
  CASE m.kind = "claim"              -> ProcessClaim(m, c)
    [] m.kind \in {"renew", "adopt"} -> ProcessRenew(m, c)
    [] m.kind = "release"            -> ProcessRelease(m)
    [] m.kind = "transfer"           -> ProcessTransfer(m, c)

\* A renewal is answered and not recorded.
RenewsNothing(m, c) ==
  IF m.current /\ ~R!Lapsed(record, c)
  THEN net' = (net \ {m}) \cup Replied(m, "ok", c + TTL, TRUE) /\ UNCHANGED <<record, keeper>>
  ELSE Refuse(m)

\* Whom an actor was handed to never learns of it.
HandsOverUnheard(m, c) ==
  IF m.current /\ R!Live(record, c)
  THEN /\ record' = [holder |-> m.to, expiry |-> c + TTL, again |-> FALSE]
       /\ net' = Outdated(net \ {m}) \cup Replied(m, "ok", DeadlineFloor, FALSE)
       /\ UNCHANGED keeper
  ELSE Refuse(m)

ClaimsWorking(n) == Ready(n) /\ Send(n, "claim") /\ UNCHANGED <<record, keeper, faults, crashes>>

RenewsEarly(n) == Ready(n) /\ keeper[n].work /\ Send(n, "renew") /\ UNCHANGED <<record, keeper, faults, crashes>>

AdoptsUnasked(n) == Ready(n) /\ ~keeper[n].work /\ Send(n, "adopt") /\ UNCHANGED <<record, keeper, faults, crashes>>

ReleasesIdle(n) ==
  /\ "release" \in GiveUps /\ Ready(n)
  /\ net' = net \cup {Request(n, "release", n, BeforeFloor)}
  /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, faults, crashes>>

HandsOverToItself(n, to) == "transfer" \in GiveUps /\ GiveUp(n, "transfer", to)

HandsOverIdle(n, to) ==
  /\ "transfer" \in GiveUps /\ to # n /\ Ready(n)
  /\ net' = net \cup {Request(n, "transfer", to, BeforeFloor)}
  /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, faults, crashes>>

Learns(n, m, c) == keeper' = [keeper EXCEPT ![n] = IF m.state = "ok" THEN AnswerOk(n, m, c) ELSE AnswerRefused(n, m)]

Remembers(m) == record' = IF m.state = "ok" /\ m.current THEN [record EXCEPT !.again = FALSE] ELSE record

\* No answer to a claim is taken for a refusal.
HearsSilence(n, m, c) ==
  /\ m.state # "sent" \/ m.kind = "claim"
  /\ Learns(n, m, c)
  /\ net' = net \ {m}
  /\ Remembers(m)

HearsTwice(n, m, c) ==
  /\ m.state # "sent" /\ net' = net
  /\ Learns(n, m, c)
  /\ Remembers(m)

\* A claim that was answered is repeated.
HearsAndRepeats(n, m, c) ==
  /\ m.state # "sent" /\ net' = net \ {m} /\ record' = record
  /\ Learns(n, m, c)

LosesTireless(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n) : net' = net \ {m}
  /\ UNCHANGED <<record, keeper, crashes>>

LosesForFree(n) ==
  /\ faults > 0
  /\ \E m \in Waiting(n), c \in Readings : net' = net \ {m} /\ keeper' = Failed(n, c)
  /\ UNCHANGED <<record, faults, crashes>>

\* What was lost is still there.
LosesNothing(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n), c \in Readings : keeper' = Failed(n, c)
  /\ UNCHANGED <<record, net, crashes>>

StopsTireless(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n) : m.state = "sent" /\ net' = (net \ {m}) \cup {NotWaited(m)}
  /\ UNCHANGED <<record, keeper, crashes>>

\* An answer that is there is not waited for, and stays.
StopsAfterAnswer(n) ==
  /\ faults > 0 /\ faults' = faults - 1
  /\ \E m \in Waiting(n), c \in Readings : net' = (net \ {m}) \cup {NotWaited(m)} /\ keeper' = Failed(n, c)
  /\ UNCHANGED <<record, crashes>>

CrashedWith(n, messages, again, left) ==
  /\ crashes > 0 /\ keeper[n].up /\ crashes' = crashes - 1
  /\ keeper' = [keeper EXCEPT ![n] = [left EXCEPT !.up = FALSE]]
  /\ net' = messages /\ record' = [record EXCEPT !.again = again]
  /\ UNCHANGED faults

Undelivered(n) == (net \ Waiting(n)) \cup {NotWaited(m) : m \in {x \in Waiting(n) : x.state = "sent"}}

AgainAfter(n) == record.again /\ record.holder # n

CrashesRemembered(n) == CrashedWith(n, Undelivered(n), record.again, Idle)

CrashesListening(n) == CrashedWith(n, net, AgainAfter(n), Idle)

\* A process that died works on.
CrashesWorking(n) == CrashedWith(n, Undelivered(n), AgainAfter(n), keeper[n])

RestartsTired(n) ==
  /\ ~keeper[n].up /\ keeper' = [keeper EXCEPT ![n] = TiredFirst]
  /\ UNCHANGED <<record, net, faults, crashes>>

StepsDownTireless(n) ==
  /\ keeper[n].work /\ \E c \in Readings : c >= keeper[n].deadline
  /\ keeper' = [keeper EXCEPT ![n] = Idle]
  /\ UNCHANGED <<record, net, faults, crashes>>

\* Time passes for some of it only.
Passes(expiry, rests, messages) ==
  /\ \A n \in Nodes : ~Overdue(n)
  /\ Prompt => \A n \in Nodes : ~Unserved(n)
  /\ record' = [record EXCEPT !.expiry = expiry]
  /\ keeper' = [n \in Nodes |-> [keeper[n] EXCEPT !.deadline = Down(@, DeadlineFloor), !.rests = rests /\ @]]
  /\ net' = messages
  /\ UNCHANGED <<faults, crashes>>

Later(m) == [m EXCEPT !.before = Down(@, BeforeFloor), !.expiry = Down(@, DeadlineFloor)]

TicksButTheLease    == Passes(record.expiry, FALSE, {Later(m) : m \in net})
TicksTired          == Passes(Down(record.expiry, ExpiryFloor), TRUE, {Later(m) : m \in net})
TicksButTheMessages == Passes(Down(record.expiry, ExpiryFloor), FALSE, net)
=============================================================================
