--------------------------- MODULE RegistryProof ----------------------------
(***************************************************************************)
(* What a proof of Registry's safety needs besides IndInv: conform prove   *)
(* shows, with a solver, that TypeOK, IndInv and MembershipInv hold  *)
(* at the start, are preserved by every step, and imply the properties.    *)
(* Nothing is bounded: Nodes, Actors, ClaimIDs, Instances and Acts are any *)
(* sets, TTL, Grace, Eps, FailureTimeout and the Max* are any numbers that *)
(* Constants allows, infinitely many states included.                      *)
(***************************************************************************)
EXTENDS RegistryInductive

(* What the sets of names have in them; Constants says the rest. *)
ASSUME Sorts ==
  /\ Nodes \subseteq STRING /\ Actors \subseteq STRING
  /\ Acts \subseteq STRING /\ Dropped \subseteq STRING

(* The contract's margin, section 2.  With a thinner one the proof fails. *)
Contract   == Margin = 2 * Eps
ThinMargin == Margin < 2 * Eps

(* A process never runs under an epoch that was not given out ... *)
ProcessesAreRegistered == \A n \in Nodes : proc[n] <= member[n].epoch

(* ... and a node without an epoch is one that never registered. *)
UnregisteredIsNone == \A n \in Nodes : member[n].status = "none" <=> member[n].epoch = 0

MembershipInv == ProcessesAreRegistered /\ UnregisteredIsNone

=============================================================================
