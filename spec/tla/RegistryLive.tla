---------------------------- MODULE RegistryLive ----------------------------
(***************************************************************************)
(* Liveness under fairness, with a budget of faults: an endless crash loop *)
(* or a registry whose answers are always lost defeats any progress.  The  *)
(* budget is the bound on epochs; the last incarnation of a node neither   *)
(* fails nor crashes, and learns that it was registered.                   *)
(***************************************************************************)
EXTENDS Registry

VARIABLE ask  \* node -> "asked" while it waits for the answer to a claim, else "idle"

liveVars == <<vars, ask>>

FaultBudget ==
  \A n \in Nodes : member'[n].epoch = MaxEpoch =>
    /\ member'[n].status = "active"
    /\ member[n].epoch < MaxEpoch => proc'[n] = MaxEpoch

Ask(n) ==
  /\ ask[n] = "idle"
  /\ proc[n] > 0
  /\ ask' = [ask EXCEPT ![n] = "asked"]
  /\ UNCHANGED vars

(* The answer to a claim: granted, repeated, or refused because its guard  *)
(* does not hold.  A process that died or registered anew asks no longer.  *)
Granting(n) ==
  /\ ask[n] = "asked"
  /\ \E a \in Actors, k \in ClaimIDs, heard \in BOOLEAN : Claim(n, a, k, heard) \/ (heard /\ ClaimRepeat(n, a, k))
  /\ ask' = [ask EXCEPT ![n] = "idle"]

MayRefuse(r, m, ref, c) == ~ClaimGuard(r, m, ref, c)

Refused(n) ==
  /\ ask[n] = "asked"
  /\ proc[n] > 0
  /\ \E a \in Actors, k \in ClaimIDs :
       /\ ~ClaimRepeats(record[a], Self(n), k, clock[n])
       /\ MayRefuse(record[a], member[n], Self(n), clock[n])
  /\ ask' = [ask EXCEPT ![n] = "idle"]
  /\ UNCHANGED vars

Background ==
  \/ Tick
  \/ \E n \in Nodes, reading \in Readings : Drift(n, reading)
  \/ \E n \in Nodes : Restart(n)
  \/ \E n \in Nodes, a \in Actors, heard \in BOOLEAN : Renew(n, a, heard)
  \/ \E n \in Nodes, mode \in Modes, i \in Instances, heard \in BOOLEAN : RegisterNode(n, mode, i, heard)
  \/ \E n \in Nodes, i \in Instances : RegisterRepeat(n, i)
  \/ \E by, n \in Nodes : MarkFailed(by, n)

Work == Background /\ FaultBudget /\ UNCHANGED ask

Die(n) ==
  /\ Crash(n)
  /\ ask' = [ask EXCEPT ![n] = "idle"]

LiveInit == Init /\ ask = [n \in Nodes |-> "idle"]
LiveNext == Work \/ \E n \in Nodes : Die(n) \/ Ask(n) \/ Granting(n) \/ Refused(n)

(* Time passes, dead processes come back and register, whoever is idle     *)
(* asks again, and whoever asked is answered.                              *)
Fairness ==
  /\ WF_liveVars(Tick /\ UNCHANGED ask)
  /\ \A n \in Nodes :
       /\ WF_liveVars(Restart(n) /\ UNCHANGED ask)
       /\ WF_liveVars(\E i \in Instances : RegisterNode(n, "supersede", i, TRUE) /\ UNCHANGED ask)
       /\ WF_liveVars(Ask(n))
       /\ WF_liveVars(Granting(n) \/ Refused(n))

LiveSpec   == LiveInit /\ [][LiveNext]_liveVars /\ Fairness
UnfairSpec == LiveInit /\ [][LiveNext]_liveVars

(* For models without registrations: one node alone may crash, for good.   *)
OneCrashes(n) == n = (CHOOSE m \in Nodes : TRUE) /\ member[n].epoch < MaxEpoch

(* Not the contract: a registry that never lets go of a dead holder. *)
NeverClaimable(r, c) == r.holder = Nobody

(* Nor one that refuses every claim, which satisfies every safety property.*)
ClaimsFail(r, m, ref, c) == FALSE

(* Nor one that grants or says nothing. *)
NeverRefused(n) == FALSE

(* A dialect: a store that holds a lease longer than it told, by at most   *)
(* Longer, may refuse a claim as long and need not.  Its countdowns go on  *)
(* until that is over.                                                     *)
Longer    == 1
SlowFloor == -(Eps + Grace + Margin + Longer)
SlowToLetGo(r, m, ref, c) == ~ClaimGuard(r, m, ref, c) \/ (r.holder # Nobody /\ ~Reclaimable(r, c - Longer))

(* Without a bound it may refuse for ever. *)
MayNeverLetGo(r, m, ref, c) == ~ClaimGuard(r, m, ref, c) \/ r.holder # Nobody

(* Contract 4.8.  Every claim is granted or refused, unless the one who    *)
(* asked dies, or the model has no token left to grant.                    *)
Exhausted == \E a \in Actors : record[a].token = MaxToken

ClaimAnswered ==
  \A n \in Nodes : ask[n] = "asked" ~> (ask[n] = "idle" \/ proc[n] = Down \/ Exhausted)

(* Contract 4.9.  An actor that nobody holds, or whose holder is gone with *)
(* all it knew, is granted to somebody while there are tokens left in the  *)
(* model.  Refusing for ever does not satisfy it.                          *)
Gone(ref, a, t) == proc[ref.id] # ref.epoch /\ lease[ref.id][a].token # t

Vacant(a, t) == record[a].token = t /\ (Held(a) => Gone(record[a].holder, a, t))

VacantClaimed ==
  \A a \in Actors : \A t \in 0 .. MaxToken - 1 : Vacant(a, t) ~> record[a].token > t

=============================================================================
