--------------------------- MODULE KeeperContract ---------------------------
(***************************************************************************)
(* The keeper a second time: what each step asks for and what it changes,  *)
(* without Keeper's own definitions of it, so that a slip in one of them   *)
(* is a property that fails and not only another number of states.         *)
(*                                                                         *)
(* The ...Steps say that nothing else happens, Possible that everything of *)
(* it can.  conform prove shows all but ReplySteps and TimeSteps, which    *)
(* are about sets of messages, for any number of nodes.                    *)
(***************************************************************************)
EXTENDS Keeper

Clock == -Eps .. Eps

\* From here on no reading is before it.
Past == -Eps

AtLeast(x, floor) == IF x < floor THEN floor ELSE x

Stopped == [up |-> TRUE, work |-> FALSE, deadline |-> Past, current |-> FALSE, rests |-> FALSE]

Rested(k) == [k EXCEPT !.rests = TRUE]

Beginning ==
  /\ record.holder = "none" /\ record.expiry = -(Eps + Grace + Margin) /\ ~record.again
  /\ \A n \in Nodes : keeper[n] = Stopped
  /\ net = {} /\ faults = MaxFaults /\ crashes = MaxCrashes

-----------------------------------------------------------------------------
(* The registry.  After(m, c) is what it has, what the nodes have in their *)
(* hands, and what is on its way when it has processed the request m with  *)
(* the reading c.                                                          *)

Granted(m, c) ==
  CASE m.kind = "claim"               -> record.holder = "none" \/ c - record.expiry >= Grace + Margin
    [] m.kind \in {"renew", "adopt"} -> m.current /\ c - record.expiry < Grace
    [] m.kind = "release"            -> m.current
    [] m.kind = "transfer"           -> m.current /\ c < record.expiry
    [] OTHER                         -> FALSE

\* The claim that began the tenure, once more.
Again(m, c) == m.kind = "claim" /\ record.holder = m.node /\ record.again /\ c - record.expiry < Grace

Accepted(m, c) == Again(m, c) \/ Granted(m, c)

\* Renewals and repeated claims leave the tenure as it is.
NewTenure(m, c) == ~Again(m, c) /\ Granted(m, c) /\ m.kind \in {"claim", "release", "transfer"}

RecordAfter(m, c) ==
  CASE Again(m, c) \/ ~Granted(m, c)  -> record
    [] m.kind = "claim"              -> [holder |-> m.node, expiry |-> c + TTL, again |-> keeper[m.node].up]
    [] m.kind = "transfer"           -> [holder |-> m.to, expiry |-> c + TTL, again |-> FALSE]
    [] m.kind = "release"            -> [holder |-> "none", expiry |-> record.expiry, again |-> FALSE]
    [] OTHER                         -> [record EXCEPT !.expiry = AtLeast(record.expiry, c + TTL)]

\* A claim and a renewal are answered with the lease as it is then.
ExpiryTold(m, c) ==
  IF ~Accepted(m, c) \/ m.kind \in {"release", "transfer"} THEN Past
  ELSE IF Again(m, c) THEN AtLeast(record.expiry, Past) ELSE RecordAfter(m, c).expiry

ReplyTo(m, c) ==
  [m EXCEPT !.state = IF Accepted(m, c) THEN "ok" ELSE "refused", !.expiry = ExpiryTold(m, c),
            !.current = Accepted(m, c) /\ m.kind \notin {"release", "transfer"}]

\* What becomes of another message x.
Beside(m, c, x) == IF NewTenure(m, c) THEN [x EXCEPT !.current = FALSE] ELSE x

NetAfter(m, c) == {Beside(m, c, x) : x \in net \ {m}} \cup (IF m.waits THEN {ReplyTo(m, c)} ELSE {})

HandAfter(m, c, n) ==
  IF NewTenure(m, c) THEN [keeper[n] EXCEPT !.current = m.kind = "transfer" /\ n = m.to /\ keeper[n].up] ELSE keeper[n]

(* A step that could be both a request's end and time that passes is asked *)
(* of neither.                                                             *)
ProcessSteps ==
  [][~Tick => \A m \in net, c \in Clock : Processed(m, c) =>
       /\ m.state = "sent"
       /\ record' = RecordAfter(m, c)
       /\ \A n \in Nodes : keeper'[n] = HandAfter(m, c, n)]_vars

ReplySteps ==
  [][~Tick => \A m \in net, c \in Clock : Processed(m, c) => net' = NetAfter(m, c)]_vars

-----------------------------------------------------------------------------
(* The keeper: one request at a time, and a rest after a refusal.          *)

Asked(n) == \E m \in net : m.node = n /\ m.waits

Free(n) == keeper[n].up /\ ~keeper[n].rests /\ ~Asked(n)

Asks(n, kind, to, before) ==
  net' = net \cup {[node |-> n, kind |-> kind, to |-> to, before |-> before, current |-> keeper[n].current,
                    state |-> "sent", expiry |-> Past, waits |-> TRUE]}

MayClaim(n) == Free(n) /\ ~keeper[n].work
MayRenew(n) == Free(n) /\ keeper[n].work /\ \E c \in Clock : c + TTL >= keeper[n].deadline + RenewAfter
MayAdopt(n) == Free(n) /\ ~keeper[n].work /\ keeper[n].current
MayGiveUp(n) == Free(n) /\ keeper[n].work

Same(N) == \A n \in Nodes \ N : keeper'[n] = keeper[n]

RequestSteps ==
  [][\A n \in Nodes :
       /\ SendClaim(n) =>
            /\ MayClaim(n) /\ \E before \in Clock : Asks(n, "claim", n, before)
            /\ UNCHANGED <<record, keeper, faults, crashes>>
       /\ SendRenew(n) =>
            /\ MayRenew(n) /\ \E before \in Clock : Asks(n, "renew", n, before)
            /\ UNCHANGED <<record, keeper, faults, crashes>>
       /\ SendAdopt(n) =>
            /\ MayAdopt(n) /\ \E before \in Clock : Asks(n, "adopt", n, before)
            /\ UNCHANGED <<record, keeper, faults, crashes>>]_vars

\* Who gives up has stopped, whatever comes of it.
GiveUpSteps ==
  [][\A n \in Nodes :
       /\ Release(n) =>
            /\ "release" \in GiveUps /\ MayGiveUp(n) /\ Asks(n, "release", n, -(TTL + Eps))
            /\ keeper'[n] = Rested(Stopped) /\ Same({n}) /\ UNCHANGED <<record, faults, crashes>>
       /\ \A to \in Nodes : Transfer(n, to) =>
            /\ "transfer" \in GiveUps /\ to # n /\ MayGiveUp(n) /\ Asks(n, "transfer", to, -(TTL + Eps))
            /\ keeper'[n] = Rested(Stopped) /\ Same({n}) /\ UNCHANGED <<record, faults, crashes>>]_vars

-----------------------------------------------------------------------------
(* What an answer lets its keeper do; c is the reading when it comes.      *)

Begins(m) == m.kind \in {"claim", "adopt"}

WorksUntil(m) ==
  AtLeast((IF ByReading /\ m.before + TTL < m.expiry THEN m.before + TTL ELSE m.expiry) - SafetyMargin, Past)

Heard(n, m, c) ==
  LET k == keeper[n]
  IN CASE m.state = "refused" /\ m.kind = "claim"          -> Rested(k)
       [] m.state = "refused"                              -> Rested(Stopped)
       [] Begins(m) /\ c >= WorksUntil(m)                  -> Rested(k)
       [] Begins(m)                                        -> [k EXCEPT !.work = TRUE, !.deadline = WorksUntil(m), !.current = m.current]
       [] m.kind = "renew" /\ k.work                       -> [k EXCEPT !.deadline = AtLeast(@, WorksUntil(m))]
       [] OTHER                                            -> k

AnswerTo(m, n) == m.node = n /\ m.waits /\ m.state # "sent"

AnswerSteps ==
  [][\A n \in Nodes, m \in net, c \in Clock : Hears(n, m, c) =>
       /\ m.state # "sent"
       /\ net' = net \ {m}
       /\ keeper'[n] = Heard(n, m, c) /\ Same({n})
       /\ record' = IF m.state = "ok" /\ m.current THEN [record EXCEPT !.again = FALSE] ELSE record]_vars

(* Who waits for what: Keeper's sets are those. *)
WaitsForOne ==
  \A n \in Nodes :
    /\ \A m \in net : (m \in Waiting(n) <=> m.node = n /\ m.waits) /\ (m \in LateOf(n) <=> m.node = n /\ ~m.waits)
    /\ \A m, x \in net : m.node = n /\ x.node = n /\ m.waits /\ x.waits => m = x

-----------------------------------------------------------------------------
(* Faults, each of the budget.  Who hears nothing keeps its deadline.      *)

NotWaited(m) == [m EXCEPT !.waits = FALSE]

MayTimeOut(n) == faults > 0 /\ Cardinality({m \in net : m.node = n /\ ~m.waits}) < MaxLate

FaultSteps ==
  [][\A n \in Nodes :
       /\ Lose(n) =>
            /\ faults > 0 /\ faults' = faults - 1
            /\ \E m \in net : m.node = n /\ m.waits /\ net' = net \ {m}
            /\ keeper'[n] = Rested(keeper[n]) /\ Same({n}) /\ UNCHANGED <<record, crashes>>
       /\ StopsWaiting(n) =>
            /\ faults > 0 /\ faults' = faults - 1
            /\ \E m \in net : m.node = n /\ m.waits /\ m.state = "sent" /\ net' = (net \ {m}) \cup {NotWaited(m)}
            /\ keeper'[n] = Rested(keeper[n]) /\ Same({n}) /\ UNCHANGED <<record, crashes>>
       /\ Crash(n) =>
            /\ crashes > 0 /\ keeper[n].up /\ crashes' = crashes - 1
            /\ keeper'[n] = [Stopped EXCEPT !.up = FALSE] /\ Same({n}) /\ UNCHANGED faults
            /\ record' = [record EXCEPT !.again = record.again /\ record.holder # n]
            /\ net' = {IF m.node = n THEN NotWaited(m) ELSE m : m \in {x \in net : x.node = n /\ x.waits => x.state = "sent"}}
       /\ Restart(n) =>
            /\ ~keeper[n].up /\ keeper'[n] = Stopped /\ Same({n}) /\ UNCHANGED <<record, net, faults, crashes>>]_vars

-----------------------------------------------------------------------------
(* Time.  A keeper stops when some reading may have come to its deadline,  *)
(* and before time passes that deadline for every reading.                 *)

MayStop(n) == keeper[n].work /\ Eps >= keeper[n].deadline

\* No reading lets n work on.
MustStop(n) == keeper[n].work /\ Past >= keeper[n].deadline

\* Where requests are prompt: n waits for an answer, or by every reading it should have asked.
MustAsk(n) == Asked(n) \/ (Free(n) /\ keeper[n].work /\ TTL - Eps >= keeper[n].deadline + RenewAfter)

MayTick == \A n \in Nodes : ~MustStop(n) /\ (Prompt => ~MustAsk(n))

Aged(m) == [m EXCEPT !.before = AtLeast(@ - 1, -(TTL + Eps)), !.expiry = AtLeast(@ - 1, Past)]

StopSteps ==
  [][\A n \in Nodes : StepDown(n) =>
       MayStop(n) /\ keeper'[n] = Rested(Stopped) /\ Same({n}) /\ UNCHANGED <<record, net, faults, crashes>>]_vars

TimeSteps ==
  [][Tick /\ ~Process =>
       /\ MayTick
       /\ record' = [record EXCEPT !.expiry = AtLeast(@ - 1, -(Eps + Grace + Margin))]
       /\ \A n \in Nodes :
            keeper'[n] = [keeper[n] EXCEPT !.deadline = AtLeast(@ - 1, Past), !.rests = FALSE]
       /\ net' = {Aged(m) : m \in net}
       /\ UNCHANGED <<faults, crashes>>]_vars

-----------------------------------------------------------------------------
(* Nothing of it is missing: what may happen is a step.                    *)

Possible ==
  /\ \A m \in net, c \in Clock :
       m.state = "sent" => ENABLED (Next /\ net' = NetAfter(m, c) /\ record' = RecordAfter(m, c))
  /\ \A n \in Nodes, before \in Clock :
       /\ MayClaim(n) => ENABLED (Next /\ Asks(n, "claim", n, before))
       /\ MayRenew(n) => ENABLED (Next /\ Asks(n, "renew", n, before))
       /\ MayAdopt(n) => ENABLED (Next /\ Asks(n, "adopt", n, before))
  /\ \A n \in Nodes : MayGiveUp(n) =>
       /\ "release" \in GiveUps => ENABLED (Next /\ Asks(n, "release", n, -(TTL + Eps)))
       /\ \A to \in Nodes \ {n} : "transfer" \in GiveUps => ENABLED (Next /\ Asks(n, "transfer", to, -(TTL + Eps)))
  /\ \A n \in Nodes, m \in net, c \in Clock :
       AnswerTo(m, n) => ENABLED (Next /\ net' = net \ {m} /\ keeper'[n] = Heard(n, m, c))
  /\ \A m \in net : m.waits =>
       /\ faults > 0 => ENABLED (Next /\ net' = net \ {m} /\ faults' = faults - 1)
       /\ m.state = "sent" /\ MayTimeOut(m.node) => ENABLED (Next /\ net' = (net \ {m}) \cup {NotWaited(m)})
  /\ \A n \in Nodes :
       /\ crashes > 0 /\ keeper[n].up => ENABLED (Next /\ ~keeper'[n].up)
       /\ ~keeper[n].up => ENABLED (Next /\ keeper'[n].up)
       /\ MayStop(n) => ENABLED (Next /\ ~keeper'[n].work /\ net' = net)
  /\ MayTick => ENABLED Tick
=============================================================================
