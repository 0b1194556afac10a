--------------------------- MODULE RegistryAsked ----------------------------
(***************************************************************************)
(* Every call in every type-correct state, with each answer that is right  *)
(* and what a success leaves behind: a refusal is an edge from a state to  *)
(* itself.  The graph is dumped and compared with the Go reference, so     *)
(* that both are equal on every answer and not only on effects.  A label   *)
(* is <<call, answer>>; calls and answers of one operation have one form.  *)
(***************************************************************************)
EXTENDS RegistryAnswers

VARIABLE asked  \* operation -> labels

OnActor(e)  == <<e.op, e.actor, e.node.id, e.node.epoch, e.token, e.claim, e.to.id, e.to.epoch, e.now>>
OnNode(e)   == <<e.op, e.node.id, e.node.epoch, e.mode, e.now>>

Left(x, r)  == <<x.reason, r.holder.id, r.holder.epoch, r.token, r.version, r.expiry, r.claim>>
Stays(x, m) == <<x.reason, m.epoch, m.status, m.seen>>

ActorLabels(calls) ==
  {<<OnActor(e), Left(x, IF x.reason = "" THEN RecordAfter(e) ELSE NoRecord)>> : <<e, x>> \in
     UNION {{e} \X Answers(e) : e \in calls}}
NodeLabels(calls) ==
  {<<OnNode(e), Stays(x, IF x.reason = "" THEN MemberAfter(e) ELSE NoMember)>> : <<e, x>> \in
     UNION {{e} \X Answers(e) : e \in calls}}

(* The other nodes are registered and stay so. *)
ToSomeNode == {e \in Transfers : e.to.id = SomeNode}

Labels ==
  [Claim |-> ActorLabels(Claims), Renew |-> ActorLabels(Renewals), Release |-> ActorLabels(Releases),
   Transfer |-> ActorLabels(ToSomeNode), Lookup |-> ActorLabels(Lookups), Validate |-> ActorLabels(Validations),
   RegisterNode |-> NodeLabels(Registrations), Heartbeat |-> NodeLabels(Heartbeats), MarkFailed |-> NodeLabels(Failures),
   DeregisterNode |-> NodeLabels(Departures), GetNode |-> NodeLabels(NodeReads)]

AskedSpec == AnswerInit /\ asked = Labels /\ [][FALSE]_<<allVars, asked>>

=============================================================================
