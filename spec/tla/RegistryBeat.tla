---------------------------- MODULE RegistryBeat ----------------------------
(***************************************************************************)
(* Contract 4.10, under skew: a node that keeps heartbeating is never      *)
(* failed for good while it can register again.  It has two halves.  Who   *)
(* beat within FailureTimeout of true time is not failed at all, whatever  *)
(* the clocks; and who was failed (it was silent, or its heartbeats were   *)
(* lost) comes back as soon as it registers again.                         *)
(***************************************************************************)
EXTENDS Registry

VARIABLE beat  \* node -> true time since its last registration or heartbeat, at most FailureTimeout

beatVars == <<vars, beat>>

Seen(n)  == member'[n].epoch # member[n].epoch \/ Heartbeat(n)
BeatInit == Init /\ beat = [n \in Nodes |-> FailureTimeout]

BeatNext ==
  \/ Tick /\ beat' = [n \in Nodes |-> Min(beat[n] + 1, FailureTimeout)]
  \/ Steps /\ beat' = [n \in Nodes |-> IF Seen(n) THEN 0 ELSE beat[n]]

(* The bound on epochs is a budget of silences: the last incarnation does  *)
(* not fall silent, and learns that it was registered.                     *)
LastBeats ==
  \A n \in Nodes : member'[n].epoch = MaxEpoch =>
    member'[n].status = "active" /\ (member[n].epoch < MaxEpoch => proc'[n] = MaxEpoch)

(* Whoever is not registered as what it runs under registers, without      *)
(* superseding anybody: there is nobody to supersede but itself.           *)
Comes(n) == \E i \in Instances : RegisterNode(n, "if-absent", i, TRUE) /\ BeatNext /\ LastBeats

BeatSpec == BeatInit /\ [][BeatNext /\ LastBeats]_beatVars /\ \A n \in Nodes : WF_beatVars(Comes(n))

(* The clock that marks it failed is at most Eps fast, the one that stamped*)
(* its heartbeat at most Eps slow: hence the 2 Eps of NodeSilent.          *)
BeatingIsActive ==
  [][\A n \in Nodes : member[n].status = "active" /\ member'[n].status = "failed" => beat[n] >= FailureTimeout]_beatVars

Registered(n) == member[n].status = "active" /\ member[n].epoch = proc[n]

ComesBack ==
  \A n \in Nodes : (proc[n] # Down /\ member[n].status # "active") ~> (Registered(n) \/ proc[n] = Down)

(* Not the contract: a failed node may not register again ... *)
FailedStays(m, mode) == m.status \in {"active", "failed"} => mode = "supersede"

(* ... and a failure detector that allows for the skew of one clock only. *)
SilentByOneClock(m, c) == c >= m.seen + FailureTimeout + Eps

(* Reachable: a node comes back after it was found failed. *)
NeverComesBack == \A n \in Nodes : member[n].epoch < 2

=============================================================================
