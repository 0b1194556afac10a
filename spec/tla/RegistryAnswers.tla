-------------------------- MODULE RegistryAnswers ---------------------------
(***************************************************************************)
(* What the registry answers to a call, whoever makes it and whatever they *)
(* present: any incarnation, token, claim id and reading, not only what a  *)
(* node of the model has in its hand.  A refused call changes nothing and  *)
(* so is no step of Registry; its answer is compared all the same, by      *)
(* RegistryGraph with the Go reference and by RegistryTrace with recorded  *)
(* histories, and RegistryContract says what it must be.                   *)
(***************************************************************************)
EXTENDS Registry

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
(* order is that in which they are asked.                                  *)
Unless(name, holds, rest) == IF holds THEN rest ELSE ErrorOf[name]

Stands(m, ref, rest) ==
  Unless("NodeKnown", NodeKnown(m, ref.epoch), Unless("NodeNotFailed", NodeNotFailed(m, ref.epoch), rest))

Tenured(r, ref, tok, rest) ==
  Unless("TokenCurrent", TokenCurrent(r, tok), Unless("TenureHeld", TenureHeld(r, ref, tok), rest))

ReleaseRepeats(r, token) == r.version > 0 /\ r.holder = Nobody /\ r.token = token

(* What an operation is refused with in this state, "" for nothing. *)
Refusal(e) ==
  LET r == record[e.actor]
      m == member[e.node.id]
  IN CASE e.op = "Claim" ->
            IF ClaimRepeats(r, e.node, e.claim, e.now) THEN ""
            ELSE Stands(m, e.node, Unless("Claimable", Claimable(r, e.now), ""))
       [] e.op = "Renew" ->
            Tenured(r, e.node, e.token, Unless("NotLapsed", NotLapsed(r, e.now), ""))
       [] e.op = "Release" ->
            IF ReleaseRepeats(r, e.token) THEN "" ELSE Tenured(r, e.node, e.token, "")
       [] e.op = "Transfer" ->
            Stands(member[e.to.id], e.to, Tenured(r, e.node, e.token, Unless("StillLive", StillLive(r, e.now), "")))
       [] e.op = "Validate" ->
            Unless("TokenCurrent", TokenCurrent(r, e.token),
              Unless("TenureHeld", e.token <= r.token /\ r.holder # Nobody, ""))
       [] e.op = "RegisterNode" ->
            IF RegisterRepeats(m, e.instance) THEN "" ELSE Unless("NodeAbsent", NodeAbsent(m, e.mode), "")
       [] e.op = "Heartbeat" ->
            Stands(m, e.node, "")
       [] e.op = "MarkFailed" ->
            IF Standing(m, e.node.epoch) = "failed" THEN ""
            ELSE Unless("NodeKnown", NodeKnown(m, e.node.epoch), Unless("NodeSilent", NodeSilent(m, e.now), ""))
       [] e.op = "DeregisterNode" ->
            Unless("NodeKnown", NodeLatest(m, e.node.epoch), "")
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
  LET why == Refusal(e)
  IN IF why # "" THEN Refused(why)
     ELSE Ok(IF CarriesRecord(e) THEN RecordAfter(e) ELSE NoRecord, IF CarriesMember(e) THEN MemberAfter(e) ELSE NoMember)

(* A released record names nobody.  Who releases it under its token and    *)
(* never held that tenure may be told that nothing needs to be done, or    *)
(* that they do not hold it: both are right, and neither changes anything. *)
ByStranger(e) == e.op = "Release" /\ ReleaseRepeats(record[e.actor], e.token) /\ e.node # last[e.actor]

Answers(e) == {Expected(e)} \cup (IF ByStranger(e) THEN {Refused("ErrNotHeld")} ELSE {})

-----------------------------------------------------------------------------
(* All calls.  Those of an operation that takes no node, token or reading  *)
(* have some value there, which is not looked at.                          *)

Presented    == [id : Nodes, epoch : 1 .. MaxEpoch + 1]
Tokens       == 1 .. MaxToken + 1
SomeActor    == CHOOSE a \in Actors : TRUE
SomeNode     == CHOOSE n \in Nodes : TRUE
Blank        == [op |-> "", actor |-> SomeActor, node |-> Ref(SomeNode, 1), token |-> 0, claim |-> 0,
                 to |-> Ref(SomeNode, 1), mode |-> "if-absent", instance |-> 0, now |-> 0]
Tenancy(op)  == {[Blank EXCEPT !.op = op, !.actor = a, !.node = i, !.token = t, !.now = c] :
                   a \in Actors, i \in Presented, t \in Tokens, c \in Readings}
AtNode(op)   == {[Blank EXCEPT !.op = op, !.node = i, !.now = c] : i \in Presented, c \in Readings}

Claims       == {[Blank EXCEPT !.op = "Claim", !.actor = a, !.node = i, !.claim = k, !.now = c] :
                   a \in Actors, i \in Presented, k \in ClaimIDs, c \in Readings}
Renewals     == Tenancy("Renew")
Releases     == {e \in Tenancy("Release") : e.now = 0}
Transfers    == {[e EXCEPT !.to = i] : e \in Tenancy("Transfer"), i \in Presented}
UnderTenure  == UNION {Renewals, Releases, Transfers}
OnActors     == Claims \cup UnderTenure
Lookups      == {[Blank EXCEPT !.op = "Lookup", !.actor = a] : a \in Actors}
Validations  == {[Blank EXCEPT !.op = "Validate", !.actor = a, !.token = t] : a \in Actors, t \in Tokens}
Registrations == {[Blank EXCEPT !.op = "RegisterNode", !.node = Ref(n, 1), !.mode = mode, !.instance = i, !.now = c] :
                   n \in Nodes, mode \in Modes, i \in Instances, c \in Readings}
Heartbeats   == AtNode("Heartbeat")
Failures     == AtNode("MarkFailed")
Departures   == {e \in AtNode("DeregisterNode") : e.now = 0}
NodeReads    == {[Blank EXCEPT !.op = "GetNode", !.node = Ref(n, 1)] : n \in Nodes}

Calls == UNION {Claims, Renewals, Releases, Transfers, Lookups, Validations, Registrations, Heartbeats, Failures,
                Departures, NodeReads}

(* Every type-correct record and registration of one node; the other nodes *)
(* are registered.  When somebody was last seen, and under which instance, *)
(* matters to operations alone that look at no record.                     *)
AnswerInit ==
  /\ clock = [n \in Nodes |-> 0] /\ proc = [n \in Nodes |-> 1]
  /\ lease = [n \in Nodes |-> [a \in Actors |-> NoLease]] /\ tenure = [a \in Actors |-> [num |-> 0, open |-> FALSE]]
  /\ writes = {}
  /\ record \in [Actors -> [holder : Refs \cup {Nobody}, token : 0 .. MaxToken, version : 0 .. MaxVersion,
                            expiry : ExpiryFloor .. TTL, claim : ClaimIDs \cup {0}]]
  /\ \A a \in Actors :
       /\ record[a].version = IF record[a].token = 0 THEN 0 ELSE 1
       /\ record[a].token = 0 => record[a] = NoRecord
  /\ \E m \in [epoch : 0 .. MaxEpoch, status : {"none", "active", "failed", "left"}, seen : SeenFloor .. Eps,
               instance : Instances \cup {0}] :
       /\ m.epoch = 0 <=> m.status = "none"
       /\ m.epoch = 0 => m = NoMember
       /\ (m.seen = SeenFloor /\ m.instance = 0) \/ \A a \in Actors : record[a] = NoRecord
       /\ member = [n \in Nodes |-> IF n = SomeNode THEN m ELSE FirstMember]
  /\ last \in [Actors -> Refs \cup {Nobody}]
  /\ \A a \in Actors : last[a] = IF record[a].holder = Nobody THEN (IF record[a].token = 0 THEN Nobody ELSE Ref(SomeNode, 1))
                                 ELSE record[a].holder

allVars == <<vars, last>>

AnswerSpec == AnswerInit /\ [][FALSE]_allVars
=============================================================================
