--------------------------- MODULE RegistryTrace ----------------------------
(***************************************************************************)
(* Does a linearized history follow Registry?  Each event of Trace is an   *)
(* operation with its arguments, the reading of its clock, and its answer. *)
(* Step i + 1 is possible only when the guards of Registry, evaluated in   *)
(* the state that its effects left, give exactly that answer.              *)
(*                                                                         *)
(* The operations are those of Registry with any arguments, not only with  *)
(* what a node of the model has in its hand: clients may present whatever  *)
(* they like.  Instants are relative to the start of the trace and true    *)
(* time does not move; guards only see differences, so nothing changes.    *)
(*                                                                         *)
(* NotAccepted is violated when the whole trace is possible.  A deadlock   *)
(* means that the step after the last is not: expected is what Registry    *)
(* answers there instead.                                                  *)
(***************************************************************************)
EXTENDS RegistryAnswers

CONSTANT Trace

VARIABLES at,       \* events that took place
          expected  \* what Registry answers to the next one

ASSUME NotEmpty == Len(Trace) > 0

(* An operation whose answer was lost but that took effect is any success. *)
Possible(e) ==
  IF e.answered THEN e.answer \in Answers(e) ELSE Refusal(e) = ""

Done == [reason |-> "the trace is over", record |-> NoRecord, member |-> NoMember]

(* A constant level sequence indexed by a variable: TLC evaluates it once. *)
Event == Trace[at + 1]

Take ==
  /\ at < Len(Trace)
  /\ Possible(Event)
  /\ at' = at + 1
  /\ record' = IF Refusal(Event) = "" THEN [record EXCEPT ![Event.actor] = RecordAfter(Event)] ELSE record
  /\ member' = IF Refusal(Event) = "" THEN [member EXCEPT ![Event.node.id] = MemberAfter(Event)] ELSE member
  /\ expected' = IF at' < Len(Trace) THEN Expected(Event)' ELSE Done
  /\ tenure' = [a \in Actors |-> [num |-> record'[a].token, open |-> record'[a].holder # Nobody]]
  /\ LastNext
  /\ UNCHANGED <<clock, proc, lease, writes>>

TraceInit == Init /\ LastInit /\ at = 0 /\ expected = Expected(Trace[1])
TraceSpec == TraceInit /\ [][Take]_<<vars, last, at, expected>>

NotAccepted == at < Len(Trace)

=============================================================================
