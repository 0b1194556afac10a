------------------------- MODULE ClaimTxnRefinement -------------------------
(***************************************************************************)
(* What clients see of ClaimTxn, and that it is Registry: two refinement   *)
(* mappings.                                                               *)
(***************************************************************************)
EXTENDS ClaimTxn

-----------------------------------------------------------------------------
(* Linearizability.  A call is done when a commit of its was applied; what *)
(* it looked at is its snapshot; and what may still come is each commit on *)
(* the wire that would pass the conflict check and whose call has ended.   *)

Open(k) == txn[k].phase \notin {"idle", "over"}

World == WorldIn(store)

Service == INSTANCE ClaimTxnService WITH
  world  <- World,
  call   <- [k \in Calls |-> IF Open(k) THEN [q |-> txn[k].q, since |-> txn[k].since, done |-> txn[k].done] ELSE Idle],
  view   <- [k \in Calls |-> IF txn[k].phase = "read" THEN WorldIn(txn[k].snap) ELSE S!NoView],
  late   <- {[q |-> w.q, since |-> w.since] : w \in {x \in wire : ~x.fence /\ txn[x.call].phase = "over" /\ Valid(x)}},
  answer <- [k \in Calls |-> IF txn[k].phase = "over" THEN txn[k].answer ELSE NoAnswer]

Linearizable == Service!Spec

-----------------------------------------------------------------------------
(* Registry itself, with the time that passes between a clock reading and  *)
(* the commit counted as skew: its Eps is Skew plus MaxDelay.  A lease is  *)
(* in the hand of whom it was granted to from the effect on, which is      *)
(* earlier, hence longer, than the client knows; processes run under the   *)
(* epoch that their node was last registered under; guarded writes change  *)
(* nothing that Registry has.                                              *)
(*                                                                         *)
(* Registry's clocks are hidden, and step to any reading at any moment.    *)
(* So a step of ClaimTxn is three of Registry's: the clocks step to the    *)
(* reading that the applied commit was decided with, the operation, and    *)
(* back.  RegistryAt(c) has its clocks standing at c throughout.           *)

Max(x, y) == IF x > y THEN x ELSE y

RegistryEps     == Skew + MaxDelay
RegistryTimeout == FailureTimeout - 2 * MaxDelay
ExpiryFloor     == -(RegistryEps + Grace + Margin)
SeenFloor       == -(RegistryEps + RegistryTimeout + 2 * RegistryEps)

(* No token or version is higher.  Where records are forgotten TLC tries   *)
(* each as a floor, so that configurations put Few in the place of it.     *)
Numbers == 99
Few     == 4

RegistryAt(c) == INSTANCE Registry WITH
  Eps <- RegistryEps, FailureTimeout <- RegistryTimeout,
  MaxToken <- Numbers, MaxEpoch <- 99, MaxVersion <- Numbers, MaxWrites <- 0, Joined <- Nodes,
  Acts <- {"Tick", "Claim", "Renew", "Release", "Transfer", "RegisterNode", "Heartbeat", "MarkFailed", "DeregisterNode"}
            \cup IF Forgets THEN {"Purge"} ELSE {},
  Dropped <- {},
  clock  <- [n \in Nodes |-> c],
  proc   <- [n \in Nodes |-> MemberIn(store, n).epoch],
  member <- [n \in Nodes |-> [MemberIn(store, n) EXCEPT !.seen = Max(@ - now, SeenFloor)]],
  record <- [a \in Actors |-> [Record(a) EXCEPT !.expiry = IF Record(a).version = 0 THEN ExpiryFloor ELSE Max(@ - now, ExpiryFloor)]],
  lease  <- [n \in Nodes |-> [a \in Actors |-> [epoch |-> hand[n][a].epoch, token |-> hand[n][a].token,
                                               until |-> Max(hand[n][a].until - now, -RegistryEps)]]],
  tenure <- [a \in Actors |-> [num |-> Record(a).token, open |-> Record(a).holder # S!Nobody]],
  writes <- {}

\* The reading that a step was decided with: that of the commit it applies.
Clocks == {w.c - now : w \in {x \in wire \ wire' : ~x.fence}} \cup {0}

RegistryStep == UNCHANGED RegistryAt(0)!vars \/ \E c \in Clocks : RegistryAt(c)!Next

\* From any start, and from Registry's own.
RegistrySteps   == [][RegistryStep]_<<now, store, hand>>
RefinesRegistry == RegistryAt(0)!Init /\ [][RegistryStep]_<<now, store, hand>>
=============================================================================
