--------------------------- MODULE RegistryProof ---------------------------
EXTENDS RegistryInductive

ASSUME Sorts ==
  /\ Nodes \subseteq STRING /\ Actors \subseteq STRING
  /\ Acts \subseteq STRING /\ Dropped \subseteq STRING

Contract == Margin = 2 * Eps
ThinMargin == Margin < 2 * Eps

ProofInv ==
  /\ \A n \in Nodes : proc[n] <= member[n].epoch
  /\ \A n \in Nodes : member[n].status = "none" <=> member[n].epoch = 0
=============================================================================
