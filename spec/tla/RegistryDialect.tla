-------------------------- MODULE RegistryDialect ---------------------------
(***************************************************************************)
(* Registry with looser numbers and times: dialects of the contract.  Each *)
(* constant is a difference that a backend may declare (docs/dialects.md), *)
(* and with none of them the module is Registry again: its steps are       *)
(* (OnlyRegistrySteps), and its states are as many.  Claims, renewals and  *)
(* hand-overs allow more here, and the other steps are Registry's.         *)
(*                                                                         *)
(* A store that holds longer may also refuse what Registry grants.  That   *)
(* is a step that does not happen, so that it is safe; what it costs is in *)
(* RegistryLive.                                                           *)
(***************************************************************************)
EXTENDS Registry

CONSTANTS
  Sparse,  \* sparse-tokens: a grant's token is above the one before, by any number
  Lent,    \* no-tokens: a token names a tenure; it says nothing about order and may come again
  Longer   \* holds-longer: by how much a lease may be held longer than told; 0 is the contract

ASSUME Differences == Sparse \in BOOLEAN /\ Lent \in BOOLEAN /\ Longer \in Nat

(* A countdown has to go on until no guard can tell two values apart, or   *)
(* it would hold a lease longer than Longer.  Configurations put this in   *)
(* the place of ExpiryFloor.  The proof does not: its store may do more.   *)
LongerFloor == -(Eps + Grace + Margin + Longer)

(* The reading by which such a store judges a lease that it told of: by    *)
(* the store's own expiry, which is later, it is not over yet.             *)
Slow(n) == Stamp(n) - Longer

(* The token t of a grant that follows r. *)
Numbers(r, t) ==
  /\ Guard("Grant/TokenAbove", Lent \/ t > r.token)
  /\ Sparse \/ Lent \/ t <= r.token + 1

(* What is told of a lease may end earlier than TTL after it was granted.  *)
Told(r, t, early) == [r EXCEPT !.token = t, !.expiry = Max(@ - early, ExpiryFloor)]

(* The ghost counts as many tenures as tokens are left out, as it does for *)
(* a purge, and one for a token that comes again.                          *)
Opens(a, t) == tenure' = [tenure EXCEPT ![a] = [num |-> IF t > @.num THEN t ELSE @.num + 1, open |-> TRUE]]

MayOpen(a) == tenure[a].num < MaxToken

LooseClaim(n, a, k, heard, t, early) ==
  LET r == record[a]
      s == Told(ClaimEffect(r, Self(n), k, Stamp(n)), t, early)
  IN /\ "Claim" \in Acts
     /\ proc[n] > 0
     /\ MayOpen(a)
     /\ ~ClaimRepeats(r, Self(n), k, Stamp(n))
     /\ ClaimGuard(r, member[n], Self(n), Stamp(n))
     /\ Numbers(r, t)
     /\ record' = [record EXCEPT ![a] = s]
     /\ Opens(a, t)
     /\ lease' = IF heard THEN [lease EXCEPT ![n][a] = Hand(proc[n], s.token, s.expiry)] ELSE lease
     /\ UNCHANGED <<clock, proc, member, writes>>

LooseRenew(n, a, heard, early) ==
  LET r == record[a]
      l == lease[n][a]
      s == RenewEffect(r, Stamp(n) - early)
  IN /\ "Renew" \in Acts
     /\ Runs(n)
     /\ l.token > 0
     /\ RenewGuard(r, HandRef(n, a), l.token, Slow(n))
     /\ record' = [record EXCEPT ![a] = s]
     /\ lease' = IF heard THEN [lease EXCEPT ![n][a] = Hand(l.epoch, l.token, s.expiry)] ELSE lease
     /\ UNCHANGED <<clock, proc, member, tenure, writes>>

LooseTransfer(n, a, m, heard, t, early) ==
  LET r  == record[a]
      l  == lease[n][a]
      to == Ref(m, member[m].epoch)
      s  == Told(TransferEffect(r, to, Stamp(n)), t, early)
      stopped == [lease EXCEPT ![n][a] = Stopped(@)]
  IN /\ "Transfer" \in Acts
     /\ Runs(n)
     /\ l.token > 0
     /\ to.epoch > 0
     /\ MayOpen(a)
     /\ TransferGuard(r, HandRef(n, a), l.token, member[m], to, Slow(n))
     /\ Numbers(r, t)
     /\ heard => proc[m] = to.epoch
     /\ record' = [record EXCEPT ![a] = s]
     /\ Opens(a, t)
     /\ lease' = IF heard THEN [stopped EXCEPT ![m][a] = Hand(to.epoch, s.token, s.expiry)] ELSE stopped
     /\ UNCHANGED <<clock, proc, member, writes>>

Tokens == 1 .. MaxToken
Early  == 0 .. Longer

DialectNext ==
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN, t \in Tokens, early \in Early :
       LooseClaim(n, a, k, heard, t, early)
  \/ \E n \in Nodes, a \in Actors, heard \in BOOLEAN, early \in Early : LooseRenew(n, a, heard, early)
  \/ \E n, m \in Nodes, a \in Actors, heard \in BOOLEAN, t \in Tokens, early \in Early :
       LooseTransfer(n, a, m, heard, t, early)
  \/ Tick
  \/ \E n \in Nodes, reading \in Readings : Drift(n, reading)
  \/ \E n \in Nodes : Crash(n)
  \/ \E n \in Nodes : Restart(n)
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs : ClaimRepeat(n, a, k)
  \/ \E n \in Nodes, a \in Actors : Release(n, a)
  \/ \E n \in Nodes, a \in Actors : Lookup(n, a)
  \/ \E by \in Nodes, a \in Actors, token \in 0 .. MaxToken, version \in 0 .. MaxVersion : Purge(by, a, token, version)
  \/ \E n \in Nodes, mode \in Modes, i \in Instances, heard \in BOOLEAN : RegisterNode(n, mode, i, heard)
  \/ \E n \in Nodes, i \in Instances : RegisterRepeat(n, i)
  \/ \E n \in Nodes : Heartbeat(n)
  \/ \E by, n \in Nodes : MarkFailed(by, n)
  \/ \E n \in Nodes : DeregisterNode(n)
  \/ \E n \in Nodes, a \in Actors : BeginWrite(n, a)
  \/ \E w \in Writes : LandWrite(w)
  \/ \E w \in Writes : RefuseWrite(w)

DialectSpec == Init /\ [][DialectNext]_vars

-----------------------------------------------------------------------------
(* What remains of the properties that a dialect takes away.  All others   *)
(* remain as they are.                                                     *)

(* Of TokenMonotonic and NoTokenReuse, where tokens are not lent: sparse   *)
(* ones keep both.                                                         *)
OrderUnlessLent ==
  [][~Lent => \A a \in Actors : /\ record'[a].token >= record[a].token
                                /\ Granted(a) => /\ record'[a].token > record[a].token
                                                 /\ record'[a].token = tenure'[a].num]_vars

(* Of NoStaleWrite. *)
FenceUnlessLent == [][~Lent => \A w \in writes : LandWrite(w) => OfTenure(w)]_vars

(* Of LapseIsFinal: a lease is extended by nobody that has lapsed for as   *)
(* long as the store may hold longer, by the clock that judges it.  That   *)
(* is the holder's, or with OneClock the store's, which is within Eps.     *)
LapseWithin ==
  [][\A a \in Actors : Held(a) /\ ~Granted(a) /\ record'[a].expiry > record[a].expiry
       => Stamp(Holder(a)) < record[a].expiry + Grace + Longer]_vars

(* Of HandOverLive. *)
HandOverWithin ==
  [][\A a \in Actors : HandedOver(a) /\ Held(a) => Stamp(Holder(a)) < record[a].expiry + Longer]_vars

-----------------------------------------------------------------------------
(* Without any of the differences every step is one of Registry.           *)
OnlyRegistrySteps == [][Next]_vars

(* Reachable: a token is left out, and a lease is told to end early.       *)
NeverSparse == [][\A a \in Actors : record'[a].token <= record[a].token + 1]_vars
NeverEarly  == [][\A a \in Actors : Granted(a) => record'[a].expiry # record[a].expiry + TTL - Longer]_vars

(* Mistakes that only one part of these properties notices: a release      *)
(* lowers the token, or forgets how many tenures there were; a grant that  *)
(* leaves tokens out counts for one; the last instant is taken for one in  *)
(* time.                                                                   *)
LowersToken(r)   == [r EXCEPT !.version = Bump(@), !.holder = Nobody, !.token = @ - 1]
CountsNothing(a) == tenure' = [tenure EXCEPT ![a] = [num |-> 0, open |-> FALSE]]
CountsOne(a, t)  == Began(a)

RenewsAtTheEnd(n, a, heard, early) ==
  /\ "Renew" \in Acts
  /\ Held(a) /\ n = Holder(a) /\ Slow(n) = record[a].expiry + Grace
  /\ record' = [record EXCEPT ![a].version = Bump(@), ![a].expiry = @ + 1]
  /\ UNCHANGED <<clock, proc, member, lease, tenure, writes>>

HandsOn(n, a, m) ==
  /\ "Transfer" \in Acts
  /\ MayOpen(a)
  /\ Held(a) /\ n = Holder(a) /\ Slow(n) = record[a].expiry
  /\ record' = [record EXCEPT ![a] = TransferEffect(@, Ref(m, member[m].epoch), Stamp(n))]
  /\ Began(a)
  /\ UNCHANGED <<clock, proc, member, lease, writes>>

HandsToItself(n, a, m, heard, t, early) == n = m /\ HandsOn(n, a, m)
HandsToOther(n, a, m, heard, t, early)  == n # m /\ HandsOn(n, a, m)

=============================================================================
