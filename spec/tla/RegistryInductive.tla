------------------------- MODULE RegistryInductive --------------------------
(***************************************************************************)
(* Safety does not rest on how far a search got: IndInv is preserved by    *)
(* every step from EVERY type-correct state that satisfies it, reachable   *)
(* or not, and implies SingleActivation, BelieverIsHolder and              *)
(* NoStaleWrite.  TLC starts in all those states.                          *)
(*                                                                         *)
(* Membership is left out of the check by leaving it out of the guards:    *)
(* the configuration drops NodeKnown and NodeNotFailed from Claim and      *)
(* Transfer, so that actors are granted to anybody at any time.  That      *)
(* includes whatever any history of the membership would allow.  Crashes   *)
(* have no budget.                                                         *)
(***************************************************************************)
EXTENDS Registry

NoBudget(n) == TRUE

(* Not the contract: the holder is known by its name, whatever its epoch.  *)
(* With two epochs IndInv notices.                                         *)
HeldByAnyEpoch(r, ref, token) == token <= r.token /\ r.holder.id = ref.id

(* Why it is inductive, for an actor a and its record r:                   *)
(* (1) a lease that some clock could still find live is the record's own   *)
(*     tenure and ends no later than the record says.  A claim by others   *)
(*     needs a reading c <= Eps with c >= expiry + Grace + 2 Eps, hence    *)
(*     expiry <= -Eps - Grace: dead for every clock already.  Release and  *)
(*     Transfer stop it in the same step; Renew only raises the expiry.    *)
(* (2) tokens count tenures, a tenure runs exactly while there is a holder.*)
(* (3) a write in flight has the token of its tenure, and that tenure is   *)
(*     not in the future.                                                  *)
TokensCountTenures ==
  \A a \in Actors : tenure[a] = [num |-> record[a].token, open |-> Held(a)]

HolderHasToken == \A a \in Actors : Held(a) => record[a].token > 0

HandsAreOfThePast == \A n \in Nodes, a \in Actors : lease[n][a].token <= record[a].token

HandsAreWhole == \A n \in Nodes, a \in Actors : lease[n][a].token = 0 <=> lease[n][a].epoch = 0

LiveHandIsRecorded ==
  \A n \in Nodes, a \in Actors :
    LET l == lease[n][a]
        r == record[a]
    IN l.until > LeaseFloor => r.holder = Ref(n, l.epoch) /\ r.token = l.token /\ l.until <= r.expiry

WritesCarryTheirTenure == \A w \in writes : w.num = w.token /\ w.token <= record[w.actor].token

IndInv ==
  /\ TokensCountTenures
  /\ HolderHasToken
  /\ HandsAreOfThePast
  /\ HandsAreWhole
  /\ LiveHandIsRecorded
  /\ WritesCarryTheirTenure

(* Every state of TypeOK /\ IndInv, but for versions, registrations other  *)
(* than their epoch, and processes that are down: one that is down takes   *)
(* no step that it would not take if it ran, and IndInv does not speak of  *)
(* it.  What narrows the choice comes first, or TLC would go through each  *)
(* clock and each set of writes with leases that cannot be.                *)
IndInit ==
  /\ record \in [Actors -> [holder : Refs \cup {Nobody}, token : 0 .. MaxToken, version : {1},
                            expiry : Expiries, claim : ClaimIDs \cup {0}]]
  /\ HolderHasToken
  /\ tenure = [a \in Actors |-> [num |-> record[a].token, open |-> Held(a)]]
  /\ lease \in [Nodes -> [Actors -> [epoch : 0 .. MaxEpoch, token : 0 .. MaxToken, until : Untils]]]
  /\ HandsAreOfThePast /\ HandsAreWhole /\ LiveHandIsRecorded
  /\ writes \in SUBSET {w \in Writes : w.num = w.token}
  /\ Cardinality(writes) <= MaxWrites
  /\ clock \in [Nodes -> Readings]
  /\ proc \in [Nodes -> 1 .. MaxEpoch]
  /\ \E e \in [Nodes -> 1 .. MaxEpoch] : member = [n \in Nodes |-> [FirstMember EXCEPT !.epoch = e[n]]]
  /\ IndInv

IndSpec == IndInit /\ [][Next]_vars

(* Those states a second time, without Registry's sets: where the search   *)
(* begins in fewer, it shows less.                                         *)
AnyTenure ==
  LET names == [id : Nodes, epoch : 1 .. MaxEpoch]
      floor == -(Eps + Grace + Margin)
  IN /\ record \in [Actors -> [holder : {Nobody} \cup names, token : 0 .. MaxToken, version : {1},
                               expiry : floor .. (TTL + Eps), claim : {0} \cup ClaimIDs]]
     /\ \A a \in Actors : record[a].holder = Nobody \/ record[a].token > 0
     /\ tenure = [a \in Actors |-> [num |-> record[a].token, open |-> record[a].holder # Nobody]]
     /\ lease \in [Nodes -> [Actors -> [epoch : 0 .. MaxEpoch, token : 0 .. MaxToken, until : -Eps .. (TTL + Eps)]]]
     /\ \A n \in Nodes, a \in Actors :
          LET l == lease[n][a]
          IN /\ l.token <= record[a].token /\ (l.token = 0 <=> l.epoch = 0)
             /\ l.until # -Eps => /\ record[a].holder = [id |-> n, epoch |-> l.epoch]
                                  /\ record[a].token = l.token /\ l.until <= record[a].expiry
     /\ writes \in SUBSET [actor : Actors, token : 1 .. MaxToken, num : 1 .. MaxToken]
     /\ Cardinality(writes) <= MaxWrites
     /\ \A w \in writes : w.num = w.token /\ w.token <= record[w.actor].token
     /\ clock \in [Nodes -> -Eps .. Eps]
     /\ proc \in [Nodes -> 1 .. MaxEpoch]
     /\ \E e \in [Nodes -> 1 .. MaxEpoch] :
          member = [n \in Nodes |-> [epoch |-> e[n], status |-> "active", seen |-> -(3 * Eps + FailureTimeout), instance |-> 0]]

AnySpec       == AnyTenure /\ [][FALSE]_vars
BegunAnywhere == IndInit

(* A mistake that it must notice. *)
NoneExpired == 0 .. (TTL + Eps)

=============================================================================
