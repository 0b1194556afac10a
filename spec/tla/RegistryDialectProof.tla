------------------------ MODULE RegistryDialectProof ------------------------
(***************************************************************************)
(* RegistryDialect's properties for any number of everything, whichever of *)
(* the differences a store has, and for any Longer.  Every behaviour of a  *)
(* store that holds for ever is, as far as anybody can have seen it, one   *)
(* of a store with some Longer, so that its safety is shown as well.       *)
(***************************************************************************)
EXTENDS RegistryDialect, RegistryProof, RegistryWitness  \* which has OneClock

TenuresAreHeld == \A a \in Actors : tenure[a].open = Held(a) /\ (Held(a) => tenure[a].num > 0)

TokensCountUnlessLent == ~Lent => \A a \in Actors : tenure[a].num = record[a].token

WritesUnlessLent == ~Lent => WritesCarryTheirTenure

(* What a store needs that judges by one clock of its own. *)
OneClockMargin     == Margin = Eps
ThinOneClockMargin == Margin < Eps

DialectInv ==
  /\ TenuresAreHeld
  /\ TokensCountUnlessLent
  /\ HolderHasToken
  /\ HandsAreWhole
  /\ LiveHandIsRecorded
  /\ WritesUnlessLent

=============================================================================
