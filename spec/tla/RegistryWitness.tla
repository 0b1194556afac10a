-------------------------- MODULE RegistryWitness ---------------------------
(***************************************************************************)
(* What must be reachable at the bounds of the passing configurations, or  *)
(* their passing would mean little.  Each predicate denies one such state  *)
(* and has a configuration in which TLC must find it violated.             *)
(***************************************************************************)
EXTENDS Registry

(* Not the contract: a registry that judges and stamps by one clock of its *)
(* own, here a perfect one, needs a margin of Eps only, for the holder's   *)
(* clock alone can be off.  Configurations show this and that one tick     *)
(* less is too little, as they do for 2 Eps.                               *)
OneClock(n) == 0

(* A node that the cluster has found failed goes on serving, rightly. *)
NoZombieServes ==
  \A n \in Nodes, a \in Actors :
    Believes(n, a) => Standing(member[n], lease[n][a].epoch) # "failed"

(* A slow clock serves after the lease is over in true time. *)
NoServingPastExpiry ==
  \A n \in Nodes, a \in Actors : Believes(n, a) => record[a].expiry > 0

(* A fast clock stops although the lease runs in true time. *)
NoEarlyStop ==
  \A n \in Nodes, a \in Actors :
    record[a].holder = HandRef(n, a) /\ lease[n][a].until = record[a].expiry /\ record[a].expiry > 0 => Believes(n, a)

(* Writes of two tenures that ended are in flight while a third runs. *)
NoTwoStaleWrites ==
  \A w, v \in writes : w # v /\ tenure[w.actor].open => OfTenure(w) \/ OfTenure(v)

(* A lease was reclaimed from a holder that still has it in its hand. *)
NoReclaim ==
  \A n \in Nodes, a \in Actors :
    lease[n][a].token > 0 /\ Held(a) => record[a].holder.id = n

(* A node is the recorded holder and does not know it. *)
NoUnawareHolder ==
  \A n \in Nodes, a \in Actors : record[a].holder = Self(n) => lease[n][a].token = record[a].token

(* A node that holds a lease of an earlier epoch runs under a later one. *)
NoOldEpochServes ==
  \A n \in Nodes, a \in Actors : Believes(n, a) => lease[n][a].epoch = proc[n]

(* A restarted node holds again. *)
NoSecondIncarnationHolds ==
  \A a \in Actors : record[a].holder.epoch < 2

=============================================================================
