--------------------------- MODULE RegistryGraph ----------------------------
(***************************************************************************)
(* Registry with a ghost that carries the action of the last step and its  *)
(* arguments, for dumps of the labelled state graph: the labels of TLC's   *)
(* dumps have no arguments.  OnlyRegistrySteps says that the ghost changes *)
(* nothing; that nothing is lost is seen by the number of states, which is *)
(* Registry's when the ghost is projected away.                            *)
(***************************************************************************)
EXTENDS Registry

VARIABLE step  \* <<action, arguments ...>>

GraphInit == Init /\ step = <<"Init">>

GraphNext ==
  \/ Tick /\ step' = <<"Tick">>
  \/ \E n \in Nodes, reading \in Readings : Drift(n, reading) /\ step' = <<"Drift", n, reading>>
  \/ \E n \in Nodes : Crash(n) /\ step' = <<"Crash", n>>
  \/ \E n \in Nodes : Restart(n) /\ step' = <<"Restart", n>>
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN :
       Claim(n, a, k, heard) /\ step' = <<"Claim", n, a, k, heard>>
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs : ClaimRepeat(n, a, k) /\ step' = <<"ClaimRepeat", n, a, k>>
  \/ \E n \in Nodes, a \in Actors, heard \in BOOLEAN : Renew(n, a, heard) /\ step' = <<"Renew", n, a, heard>>
  \/ \E n \in Nodes, a \in Actors : Release(n, a) /\ step' = <<"Release", n, a>>
  \/ \E n, m \in Nodes, a \in Actors, heard \in BOOLEAN :
       Transfer(n, a, m, heard) /\ step' = <<"Transfer", n, a, m, heard>>
  \/ \E n \in Nodes, a \in Actors : Lookup(n, a) /\ step' = <<"Lookup", n, a>>
  \/ \E by \in Nodes, a \in Actors, token \in 0 .. MaxToken, version \in 0 .. MaxVersion :
       Purge(by, a, token, version) /\ step' = <<"Purge", by, a, token, version>>
  \/ \E n \in Nodes, mode \in Modes, i \in Instances, heard \in BOOLEAN :
       RegisterNode(n, mode, i, heard) /\ step' = <<"RegisterNode", n, mode, heard>>
  \/ \E n \in Nodes, i \in Instances : RegisterRepeat(n, i) /\ step' = <<"RegisterRepeat", n>>
  \/ \E n \in Nodes : Heartbeat(n) /\ step' = <<"Heartbeat", n>>
  \/ \E by, n \in Nodes : MarkFailed(by, n) /\ step' = <<"MarkFailed", by, n>>
  \/ \E n \in Nodes : DeregisterNode(n) /\ step' = <<"DeregisterNode", n>>
  \/ \E n \in Nodes, a \in Actors : BeginWrite(n, a) /\ step' = <<"BeginWrite", n, a>>
  \/ \E w \in Writes : LandWrite(w) /\ step' = <<"LandWrite", w.actor, w.token, w.num>>
  \/ \E w \in Writes : RefuseWrite(w) /\ step' = <<"RefuseWrite", w.actor, w.token, w.num>>

GraphSpec == GraphInit /\ [][GraphNext]_<<vars, step>>

OnlyRegistrySteps == [][Next]_vars

=============================================================================
