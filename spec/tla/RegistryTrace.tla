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
EXTENDS Registry, Sequences

CONSTANT Trace

VARIABLES at,       \* events that took place
          expected  \* what Registry answers to the next one

ASSUME NotEmpty == Len(Trace) > 0

(* Answers.  reason is "" for a success; record and member are what a      *)
(* success carries, NoRecord and NoMember where it carries none.           *)
Ok(r, m)      == [reason |-> "", record |-> r, member |-> m]
Refused(name) == [reason |-> name, record |-> NoRecord, member |-> NoMember]

ErrorOf ==
  [NodeKnown |-> "ErrNodeUnknown", NodeNotFailed |-> "ErrNodeFailed", NodeAbsent |-> "ErrNodeExists",
   NodeSilent |-> "ErrNodeAlive", TokenCurrent |-> "ErrFenced", TenureHeld |-> "ErrNotHeld",
   NotLapsed |-> "ErrLapsed", StillLive |-> "ErrLapsed", Claimable |-> "ErrHeld"]

(* The refusal for the first conjunct that does not hold: the contract's   *)
(* order is that of the pairs.                                             *)
RECURSIVE FirstFailing(_)
FirstFailing(pairs) ==
  IF pairs = <<>> THEN "" ELSE
  IF Head(pairs)[2] THEN FirstFailing(Tail(pairs)) ELSE ErrorOf[Head(pairs)[1]]

Stands(m, ref)       == <<<<"NodeKnown", NodeKnown(m, ref.epoch)>>, <<"NodeNotFailed", NodeNotFailed(m, ref.epoch)>>>>
Tenured(r, ref, tok) == <<<<"TokenCurrent", TokenCurrent(r, tok)>>, <<"TenureHeld", TenureHeld(r, ref, tok)>>>>

ReleaseRepeats(r, token) == r.version > 0 /\ r.holder = Nobody /\ r.token = token

(* What an operation would be refused with in this state, "" for nothing. *)
Refusal(e) ==
  LET r == record[e.actor]
      m == member[e.node.id]
  IN CASE e.op = "Claim" ->
            IF ClaimRepeats(r, e.node, e.claim, e.now) THEN ""
            ELSE FirstFailing(Stands(m, e.node) \o <<<<"Claimable", Claimable(r, e.now)>>>>)
       [] e.op = "Renew" ->
            FirstFailing(Tenured(r, e.node, e.token) \o <<<<"NotLapsed", NotLapsed(r, e.now)>>>>)
       [] e.op = "Release" ->
            IF ReleaseRepeats(r, e.token) THEN "" ELSE FirstFailing(Tenured(r, e.node, e.token))
       [] e.op = "Transfer" ->
            FirstFailing(Stands(member[e.to.id], e.to) \o Tenured(r, e.node, e.token)
                         \o <<<<"StillLive", StillLive(r, e.now)>>>>)
       [] e.op = "Validate" ->
            FirstFailing(<<<<"TokenCurrent", TokenCurrent(r, e.token)>>,
                           <<"TenureHeld", e.token <= r.token /\ r.holder # Nobody>>>>)
       [] e.op = "RegisterNode" ->
            FirstFailing(<<<<"NodeAbsent", NodeAbsent(m, e.mode)>>>>)
       [] e.op = "Heartbeat" ->
            FirstFailing(Stands(m, e.node))
       [] e.op = "MarkFailed" ->
            IF Standing(m, e.node.epoch) = "failed" THEN ""
            ELSE FirstFailing(<<<<"NodeKnown", NodeKnown(m, e.node.epoch)>>, <<"NodeSilent", NodeSilent(m, e.now)>>>>)
       [] e.op = "DeregisterNode" ->
            FirstFailing(<<<<"NodeKnown", NodeLatest(m, e.node.epoch)>>>>)
       [] OTHER -> ""   \* Lookup, GetNode

(* The record and the registration after a success. *)
RecordAfter(e) ==
  LET r == record[e.actor]
  IN CASE e.op = "Claim"    -> IF ClaimRepeats(r, e.node, e.claim, e.now) THEN r ELSE ClaimEffect(r, e.node, e.claim, e.now)
       [] e.op = "Renew"    -> RenewEffect(r, e.now)
       [] e.op = "Release"  -> IF ReleaseRepeats(r, e.token) THEN r ELSE ReleaseEffect(r)
       [] e.op = "Transfer" -> TransferEffect(r, e.to, e.now)
       [] OTHER             -> r

MemberAfter(e) ==
  LET m == member[e.node.id]
  IN CASE e.op = "RegisterNode"   -> RegisterNodeEffect(m, 0, e.now)
       [] e.op = "Heartbeat"      -> HeartbeatEffect(m, e.now)
       [] e.op = "MarkFailed"     -> IF Standing(m, e.node.epoch) = "failed" THEN m ELSE MarkFailedEffect(m)
       [] e.op = "DeregisterNode" -> DeregisterNodeEffect(m)
       [] OTHER                   -> m

CarriesRecord(e) == e.op \in {"Claim", "Renew", "Transfer", "Lookup"}
CarriesMember(e) == e.op \in {"RegisterNode", "GetNode"}

Expected(e) ==
  IF Refusal(e) # "" THEN Refused(Refusal(e))
  ELSE Ok(IF CarriesRecord(e) THEN RecordAfter(e) ELSE NoRecord, IF CarriesMember(e) THEN MemberAfter(e) ELSE NoMember)

(* An operation whose answer was lost but that took effect is any success. *)
Possible(e) ==
  IF e.answered THEN Expected(e) = e.answer ELSE Refusal(e) = ""

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
  /\ UNCHANGED <<clock, proc, lease, tenure, writes>>

TraceInit == Init /\ at = 0 /\ expected = Expected(Trace[1])
TraceSpec == TraceInit /\ [][Take]_<<vars, at, expected>>

NotAccepted == at < Len(Trace)

=============================================================================
