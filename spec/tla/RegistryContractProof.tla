----------------------- MODULE RegistryContractProof ------------------------
(***************************************************************************)
(* RegistryContract's properties by a solver instead of a search: the      *)
(* contract a second time, for any number of everything and among clients  *)
(* that present any incarnation, token and claim id by any clock (Forge).  *)
(* The invariant is RegistryProof's.                                       *)
(***************************************************************************)
EXTENDS RegistryContract, RegistryProof

LastOK == last \in [Actors -> Refs \cup {Nobody}]

=============================================================================
