-------------------------- MODULE RegistryAnswers ---------------------------
(***************************************************************************)
(* What the registry answers to a call, whoever makes it and whatever they *)
(* present: any incarnation, token, claim id and reading, not only what a  *)
(* node of the model has in its hand.  A refused call changes nothing and  *)
(* so is no step of Registry; its answer is compared all the same, by      *)
(* RegistryGraph with the Go reference and by RegistryTrace with recorded  *)
(* histories, and RegistryContract says what it must be.                   *)
(***************************************************************************)
EXTENDS Registry, Sequences

(* Whether a release may be refused depends on who held the tenure, which  *)
(* a released record no longer tells.                                      *)
VARIABLE last  \* actor -> ghost: the incarnation that the latest tenure was granted to

LastInit == last = [a \in Actors |-> Nobody]
LastNext == last' = [a \in Actors |-> IF Granted(a) THEN record'[a].holder ELSE last[a]]

-----------------------------------------------------------------------------
(* A call is a record with the fields op, actor, node, token, claim, to,   *)
(* mode, instance and now, the reading of the caller's clock.  An answer   *)
(* is a record with a reason, "" for a success, and what a success carries:*)
(* a record or a registration, NoRecord and NoMember where it carries none.*)

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

(* What an operation is refused with in this state, "" for nothing. *)
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
            IF RegisterRepeats(m, e.instance) THEN "" ELSE FirstFailing(<<<<"NodeAbsent", NodeAbsent(m, e.mode)>>>>)
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
  IN CASE e.op = "RegisterNode"   -> IF RegisterRepeats(m, e.instance) THEN m ELSE RegisterNodeEffect(m, e.instance, e.now)
       [] e.op = "Heartbeat"      -> HeartbeatEffect(m, e.now)
       [] e.op = "MarkFailed"     -> IF Standing(m, e.node.epoch) = "failed" THEN m ELSE MarkFailedEffect(m)
       [] e.op = "DeregisterNode" -> DeregisterNodeEffect(m)
       [] OTHER                   -> m

CarriesRecord(e) == e.op \in {"Claim", "Renew", "Transfer", "Lookup"}
CarriesMember(e) == e.op \in {"RegisterNode", "GetNode"}

Expected(e) ==
  IF Refusal(e) # "" THEN Refused(Refusal(e))
  ELSE Ok(IF CarriesRecord(e) THEN RecordAfter(e) ELSE NoRecord, IF CarriesMember(e) THEN MemberAfter(e) ELSE NoMember)

(* A released record names nobody.  Who releases it under its token and    *)
(* never held that tenure may be told that nothing needs to be done, or    *)
(* that they do not hold it: both are right, and neither changes anything. *)
ByStranger(e) == e.op = "Release" /\ ReleaseRepeats(record[e.actor], e.token) /\ e.node # last[e.actor]

Answers(e) == {Expected(e)} \cup (IF ByStranger(e) THEN {Refused("ErrNotHeld")} ELSE {})

=============================================================================
