--------------------------- MODULE RegistryTrace ----------------------------
(***************************************************************************)
(* Does a linearized history follow Registry?  Each event of the trace is  *)
(* an operation with its arguments, the reading of its clock, its answer.  *)
(* Step i + 1 is possible only when the guards of Registry, evaluated in   *)
(* the state that its effects left, give exactly that answer.              *)
(*                                                                         *)
(* The operations are those of Registry with any arguments, not only with  *)
(* what a node of the model has in its hand: clients may present whatever  *)
(* they like.  Instants are ticks and true time does not move; guards only *)
(* see differences, so nothing changes.                                    *)
(*                                                                         *)
(* The safety properties of Registry are checked along the trace.  Nobody  *)
(* knows what the clocks read that no event tells; but each is at most     *)
(* 2 Eps behind the highest reading so far, and that is what clock has,    *)
(* for every node: the latest belief that is possible.                     *)
(*                                                                         *)
(* NotAccepted is violated when the whole trace is possible.  A deadlock   *)
(* means that the step after the last is not: expected is what Registry    *)
(* answers there instead.                                                  *)
(***************************************************************************)
EXTENDS RegistryAnswers

CONSTANTS Length,      \* of the trace
          EventAt(_)   \* each event, by its number

(* TLC evaluates each definition without parameters when it begins.  The   *)
(* sets of all calls are not asked for here and are as large as the        *)
(* numbers of the trace: a configuration puts this in their place.         *)
NoCalls == {}

VARIABLES at,       \* events that took place
          expected  \* what Registry answers to the next one

ASSUME NotEmpty == Length > 0

(* The details of a refusal are true or absent: the record of its actor,   *)
(* the registration of the node e.told.                                    *)
Detailed(a, e) ==
  IF a.reason = "" THEN a
  ELSE [a EXCEPT !.record = IF e.answer.record = NoRecord THEN NoRecord ELSE record[e.actor],
                 !.member = IF e.answer.member = NoMember THEN NoMember ELSE member[e.told]]

(* An operation whose answer was lost but that took effect is any success. *)
Possible(e) ==
  IF e.answered THEN e.answer \in {Detailed(a, e) : a \in Answers(e)} ELSE Refusal(e) = ""

Done == [reason |-> "the trace is over", record |-> NoRecord, member |-> NoMember]

Event == EventAt(at + 1)

(* Who gives a lease up stops before asking, whether or not it hears of    *)
(* the effect; a grant that was answered is in its holder's hand.          *)
HandAfter(e, n, a) ==
  LET r == record'[a]
  IN CASE a # e.actor                                                -> lease[n][a]
       [] e.answered /\ e.op \in {"Claim", "Renew", "Transfer"} /\ n = r.holder.id -> Hand(r.holder.epoch, r.token, r.expiry)
       [] e.op \in {"Release", "Transfer"} /\ n = e.node.id          -> Stopped(lease[n][a])
       [] OTHER                                                      -> lease[n][a]

(* A tenure begins by what was asked for, whatever the record then says.   *)
Grants(e, a) == a = e.actor /\ e.op \in {"Claim", "Transfer"} /\ record'[a].version # record[a].version

Slowest(e, from) == IF e.timed THEN Max(from, e.now - 2 * Eps) ELSE from

Take ==
  /\ at < Length
  /\ Possible(Event)
  /\ at' = at + 1
  /\ record' = IF Refusal(Event) = "" THEN [record EXCEPT ![Event.actor] = RecordAfter(Event)] ELSE record
  /\ member' = IF Refusal(Event) = "" THEN [member EXCEPT ![Event.node.id] = MemberAfter(Event)] ELSE member
  /\ expected' = IF at' < Length THEN Detailed(Expected(Event), Event)' ELSE Done
  /\ tenure' = [a \in Actors |-> [num |-> tenure[a].num + IF Grants(Event, a) THEN 1 ELSE 0, open |-> record'[a].holder # Nobody]]
  /\ lease' = IF Refusal(Event) = "" THEN [n \in Nodes |-> [a \in Actors |-> HandAfter(Event, n, a)]] ELSE lease
  /\ clock' = IF at' < Length THEN [n \in Nodes |-> Slowest(EventAt(at' + 1), clock[n])] ELSE clock
  /\ LastNext
  /\ UNCHANGED <<proc, writes>>

(* A step of its own, so that what the last event breaks is seen first.    *)
Accept ==
  /\ at = Length
  /\ at' = at + 1
  /\ UNCHANGED <<vars, last, expected>>

\* Readings begin at 2 Eps, so that no clock is negative.
TraceInit ==
  /\ clock = [n \in Nodes |-> Slowest(EventAt(1), 0)]
  /\ proc = [n \in Nodes |-> 0] /\ member = [n \in Nodes |-> NoMember]
  /\ record = [a \in Actors |-> NoRecord] /\ lease = [n \in Nodes |-> [a \in Actors |-> NoLease]]
  /\ tenure = [a \in Actors |-> [num |-> 0, open |-> FALSE]] /\ writes = {}
  /\ LastInit /\ at = 0 /\ expected = Detailed(Expected(EventAt(1)), EventAt(1))
TraceSpec == TraceInit /\ [][Take \/ Accept]_<<vars, last, at, expected>>

NotAccepted == at <= Length

=============================================================================
