------------------------------ MODULE Registry ------------------------------
(***************************************************************************)
(* The atomic registry of single-activation actors: who may run an actor,  *)
(* decided under clocks that disagree, by nodes that pause, crash and come *)
(* back, with answers that get lost and writes that arrive late.           *)
(*                                                                         *)
(* Every operation of the contract is one action here; ClaimTxn refines it *)
(* to the transactions of a database, Keeper looks at it from the client.  *)
(* Package reference has a function for each action and guard conjunct.    *)
(*                                                                         *)
(* TIME.  True time never appears as a number.  Every instant is kept      *)
(* relative to the true present: a countdown that Tick decrements.  The    *)
(* reading of node n's clock, relative to true time, is then clock[n]      *)
(* itself, which may step to any value in -Eps..Eps at any moment: slow,   *)
(* fast, and backwards.  Countdowns stop at a floor below which no guard   *)
(* can tell two values apart, so that the state space is finite although   *)
(* time is not bounded:                                                    *)
(*   - the lowest reading is -Eps, so an expiry x at or below              *)
(*     -Eps - Grace - Margin is not live, is lapsed and is reclaimable for *)
(*     every reading; nothing that reads x can differ below it.            *)
(*   - a lease in a node's hand is only asked whether clock[n] < until,    *)
(*     which is false for every reading at or below -Eps.                  *)
(*   - a last-seen y at or below -Eps - FailureTimeout - 2 Eps is silent   *)
(*     for every reading.                                                  *)
(* A renewal takes a maximum with clock[n] + TTL > -Eps, which is above    *)
(* every floor, so saturating before or after makes no difference.         *)
(*                                                                         *)
(* VERSIONS saturate at MaxVersion: no guard of this module reads them.    *)
(* TOKENS and EPOCHS are bounded by MaxToken and MaxEpoch in the guards.   *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS
  Nodes,           \* names of nodes, strings
  Actors,          \* names of actors, strings
  ClaimIDs,        \* identities of claim attempts, positive integers; 0 is none
  Instances,       \* identities of processes, chosen by them; 0 is a process that names none
  TTL, Grace,      \* lease length and grace, in ticks
  Eps,             \* bound on the distance of any clock from true time
  Margin,          \* 2 * Eps; less is a bug that a configuration shows
  FailureTimeout,
  MaxToken, MaxEpoch, MaxVersion,
  MaxWrites,       \* guarded writes in flight at once
  Joined,          \* the nodes that run and are registered at the start
  Acts,            \* the names of the actions of this configuration
  Dropped          \* guard conjuncts left out, as "Action/Conjunct"; {} is the contract

VARIABLES
  clock,   \* node  -> reading of its clock, relative to true time
  proc,    \* node  -> epoch its process runs under; 0 none yet; Down
  member,  \* node  -> its latest registration: [epoch, status, seen, instance]
  record,  \* actor -> its record: [holder, token, version, expiry, claim]
  lease,   \* node  -> actor -> the lease in its hand: [epoch, token, until]
  tenure,  \* actor -> ghost: [num, open], tenures ever begun and whether the last one still runs
  writes   \* guarded writes in flight: [actor, token, num], num is the ghost's

vars == <<clock, proc, member, record, lease, tenure, writes>>

Min(x, y) == IF x < y THEN x ELSE y
Max(x, y) == IF x > y THEN x ELSE y

Down        == -1
Readings    == -Eps .. Eps
ExpiryFloor == -(Eps + Grace + Margin)
LeaseFloor  == -Eps
SeenFloor   == -(Eps + FailureTimeout + 2 * Eps)

Nobody   == [id |-> "", epoch |-> 0]
NoRecord == [holder |-> Nobody, token |-> 0, version |-> 0, expiry |-> ExpiryFloor, claim |-> 0]
NoLease  == [epoch |-> 0, token |-> 0, until |-> LeaseFloor]
NoMember == [epoch |-> 0, status |-> "none", seen |-> SeenFloor, instance |-> 0]
Ref(n, e) == [id |-> n, epoch |-> e]

ASSUME Constants ==
  /\ \A n \in Nodes \cup Actors : n # ""
  /\ Joined \subseteq Nodes
  /\ ClaimIDs \subseteq Nat \ {0} /\ Instances \subseteq Nat /\ Instances # {}
  /\ TTL \in Nat \ {0} /\ Grace \in 0 .. TTL /\ Eps \in Nat /\ Margin \in Nat
  /\ FailureTimeout \in Nat /\ FailureTimeout > 2 * Eps
  /\ MaxToken \in Nat /\ MaxEpoch \in Nat \ {0} /\ MaxVersion \in Nat \ {0} /\ MaxWrites \in Nat

-----------------------------------------------------------------------------
(* What a reading c means for a record (contract, section 2).              *)

Live(r, c)        == c < r.expiry
Lapsed(r, c)      == c >= r.expiry + Grace
Reclaimable(r, c) == c >= r.expiry + Grace + Margin

(* What the membership says of one incarnation.  An epoch before the       *)
(* current one is failed for good, one after it was never given out.       *)
Standing(m, epoch) ==
  CASE epoch > m.epoch                         -> "unknown"
    [] epoch < m.epoch                         -> "failed"
    [] epoch = m.epoch /\ m.status = "failed"  -> "failed"
    [] epoch = m.epoch /\ m.status = "active"  -> "active"
    [] OTHER                                   -> "unknown"

(***************************************************************************)
(* The guard conjuncts.  Their names are those of reference.Guard and of   *)
(* the messages that the conformance suite prints.                         *)
(***************************************************************************)

NodeKnown(m, epoch)     == Standing(m, epoch) # "unknown"
NodeNotFailed(m, epoch) == Standing(m, epoch) # "failed"
NodeAbsent(m, mode)     == m.status = "active" => mode = "supersede"
NodeSilent(m, c)        == c >= m.seen + FailureTimeout + 2 * Eps
TokenCurrent(r, token)  == token >= r.token
TenureHeld(r, ref, token) == token <= r.token /\ r.holder = ref
NotLapsed(r, c)         == ~Lapsed(r, c)
StillLive(r, c)         == Live(r, c)
Claimable(r, c)         == r.holder # Nobody => Reclaimable(r, c)

(* DeregisterNode asks for the current epoch, failed or not; the reference *)
(* reports it as NodeKnown.                                                *)
NodeLatest(m, epoch) == m.epoch = epoch /\ m.status # "left"

(* Every conjunct of a precondition can be dropped by name: the manifest   *)
(* has an entry for each, and a property that refutes the module without.  *)
Guard(conjunct, P) == conjunct \in Dropped \/ P

ClaimGuard(r, m, ref, c) ==
  /\ Guard("Claim/NodeKnown", NodeKnown(m, ref.epoch))
  /\ Guard("Claim/NodeNotFailed", NodeNotFailed(m, ref.epoch))
  /\ Guard("Claim/Claimable", Claimable(r, c))

RenewGuard(r, ref, token, c) ==
  /\ Guard("Renew/TokenCurrent", TokenCurrent(r, token))
  /\ Guard("Renew/TenureHeld", TenureHeld(r, ref, token))
  /\ Guard("Renew/NotLapsed", NotLapsed(r, c))

ReleaseGuard(r, ref, token) ==
  /\ Guard("Release/TokenCurrent", TokenCurrent(r, token))
  /\ Guard("Release/TenureHeld", TenureHeld(r, ref, token))

TransferGuard(r, ref, token, m, to, c) ==
  /\ Guard("Transfer/NodeKnown", NodeKnown(m, to.epoch))
  /\ Guard("Transfer/NodeNotFailed", NodeNotFailed(m, to.epoch))
  /\ Guard("Transfer/TokenCurrent", TokenCurrent(r, token))
  /\ Guard("Transfer/TenureHeld", TenureHeld(r, ref, token))
  /\ Guard("Transfer/StillLive", StillLive(r, c))

(* Validate, and the check of every guarded write: no clock, no holder's   *)
(* name, only the token of a tenure that has not ended.                    *)
ValidateGuard(r, token) ==
  /\ Guard("Validate/TokenCurrent", TokenCurrent(r, token))
  /\ Guard("Validate/TenureHeld", token <= r.token /\ r.holder # Nobody)

(* Whose record nobody will miss: it names nobody, or an incarnation that  *)
(* is not active.                                                          *)
HolderGone(r) == r.holder # Nobody => Standing(member[r.holder.id], r.holder.epoch) # "active"

(* A record may be forgotten when it is free to claim and its holder is    *)
(* gone, if the numbers that stand in its place are no lower.              *)
PurgeGuard(r, token, version, c) ==
  /\ Guard("Purge/Claimable", Claimable(r, c))
  /\ Guard("Purge/HolderGone", HolderGone(r))
  /\ Guard("Purge/TokenCovered", token >= r.token)
  /\ Guard("Purge/VersionCovered", version >= r.version)

(* A claim under the ClaimID of the running tenure repeats it.  A release  *)
(* of the tenure that ended last repeats it too: it has no step, because   *)
(* it succeeds and changes nothing, and TenureHeld keeps it from Release.  *)
ClaimRepeats(r, ref, k, c) == r.holder = ref /\ r.claim = k /\ ~Lapsed(r, c)

(* A registration under the instance of the live one repeats it, whatever  *)
(* the mode: without this a retry after a lost answer would be refused, or *)
(* would supersede the registration that it made itself.                   *)
RegisterRepeats(m, i) == m.status = "active" /\ i # 0 /\ m.instance = i

(***************************************************************************)
(* The effects on a record and on a registration.                          *)
(***************************************************************************)

Bump(version) == Min(version + 1, MaxVersion)

GrantEffect(r, ref, k, c) ==
  [holder |-> ref, token |-> r.token + 1, version |-> Bump(r.version), expiry |-> c + TTL, claim |-> k]

ClaimEffect(r, ref, k, c) == GrantEffect(r, ref, k, c)
RenewEffect(r, c)         == [r EXCEPT !.version = Bump(r.version), !.expiry = Max(r.expiry, c + TTL)]
ReleaseEffect(r)          == [r EXCEPT !.version = Bump(r.version), !.holder = Nobody]
TransferEffect(r, to, c)  == GrantEffect(r, to, 0, c)
PurgeEffect(token, version) == [NoRecord EXCEPT !.token = token, !.version = version]

RegisterNodeEffect(m, i, c) == [epoch |-> m.epoch + 1, status |-> "active", seen |-> c, instance |-> i]
HeartbeatEffect(m, c)       == [m EXCEPT !.seen = c]
MarkFailedEffect(m)         == [m EXCEPT !.status = "failed"]
DeregisterNodeEffect(m)     == [m EXCEPT !.status = "left"]

-----------------------------------------------------------------------------
(* What a node believes.  It serves while its own clock is before the      *)
(* expiry of the lease in its hand: that, and not the record, is what must *)
(* never be true of two nodes.                                             *)

Until(expiry) == Max(expiry, LeaseFloor)

Hand(epoch, token, expiry) == [epoch |-> epoch, token |-> token, until |-> Until(expiry)]
Stopped(l)                 == [l EXCEPT !.until = LeaseFloor]

Believes(n, a) == clock[n] < lease[n][a].until

(* The reading that an operation of n is judged and stamped by: that of    *)
(* its own clock.                                                          *)
Stamp(n) == clock[n]

Runs(n)      == proc[n] # Down
Self(n)      == Ref(n, proc[n])
Held(a)      == record[a].holder # Nobody
HandRef(n, a) == Ref(n, lease[n][a].epoch)

Began(a) == tenure' = [tenure EXCEPT ![a] = [num |-> @.num + 1, open |-> TRUE]]
Ended(a) == tenure' = [tenure EXCEPT ![a].open = FALSE]

(* A write belongs to the tenure that runs. *)
OfTenure(w) == tenure[w.actor].open /\ w.num = tenure[w.actor].num

-----------------------------------------------------------------------------
(* Operations on actors.  heard says whether the answer arrives: a node    *)
(* that hears nothing keeps what it had in its hand.  An answer that       *)
(* arrives later than its effect is covered: the lease it carries is the   *)
(* same, so believing it from the effect on is believing it longer.        *)

Claim(n, a, k, heard) ==
  LET r == record[a]
      s == ClaimEffect(r, Self(n), k, Stamp(n))
  IN /\ "Claim" \in Acts
     /\ proc[n] > 0
     /\ r.token < MaxToken
     /\ ~ClaimRepeats(r, Self(n), k, Stamp(n))
     /\ ClaimGuard(r, member[n], Self(n), Stamp(n))
     /\ record' = [record EXCEPT ![a] = s]
     /\ Began(a)
     /\ lease' = IF heard THEN [lease EXCEPT ![n][a] = Hand(proc[n], s.token, s.expiry)] ELSE lease
     /\ UNCHANGED <<clock, proc, member, writes>>

(* The repetition of the claim that began the tenure: answered with the    *)
(* lease as recorded, whatever became of the node's registration.          *)
ClaimRepeat(n, a, k) ==
  LET r == record[a]
  IN /\ "ClaimRepeat" \in Acts
     /\ proc[n] > 0
     /\ ClaimRepeats(r, Self(n), k, Stamp(n))
     /\ lease' = [lease EXCEPT ![n][a] = Hand(proc[n], r.token, r.expiry)]
     /\ UNCHANGED <<clock, proc, member, record, tenure, writes>>

(* A node may renew a lease of an earlier epoch of its own, and one that   *)
(* it had stopped serving under: the registry looks at the record only.    *)
Renew(n, a, heard) ==
  LET r == record[a]
      l == lease[n][a]
      s == RenewEffect(r, Stamp(n))
  IN /\ "Renew" \in Acts
     /\ Runs(n)
     /\ l.token > 0
     /\ RenewGuard(r, HandRef(n, a), l.token, Stamp(n))
     /\ record' = [record EXCEPT ![a] = s]
     /\ lease' = IF heard THEN [lease EXCEPT ![n][a] = Hand(l.epoch, l.token, s.expiry)] ELSE lease
     /\ UNCHANGED <<clock, proc, member, tenure, writes>>

(* A node that releases stops serving before it asks.  The lease stays in  *)
(* its hand, so that operations under the ended tenure are tried later.    *)
Release(n, a) ==
  LET r == record[a]
      l == lease[n][a]
  IN /\ "Release" \in Acts
     /\ Runs(n)
     /\ l.token > 0
     /\ ReleaseGuard(r, HandRef(n, a), l.token)
     /\ record' = [record EXCEPT ![a] = ReleaseEffect(r)]
     /\ Ended(a)
     /\ lease' = [lease EXCEPT ![n][a] = Stopped(@)]
     /\ UNCHANGED <<clock, proc, member, writes>>

(* The hand-over: n stops, the record changes hands, and m is told unless  *)
(* the message is lost or m runs under another epoch by now.               *)
Transfer(n, a, m, heard) ==
  LET r  == record[a]
      l  == lease[n][a]
      to == Ref(m, member[m].epoch)
      s  == TransferEffect(r, to, Stamp(n))
      stopped == [lease EXCEPT ![n][a] = Stopped(@)]
  IN /\ "Transfer" \in Acts
     /\ Runs(n)
     /\ l.token > 0
     /\ to.epoch > 0
     /\ r.token < MaxToken
     /\ TransferGuard(r, HandRef(n, a), l.token, member[m], to, Stamp(n))
     /\ heard => proc[m] = to.epoch
     /\ record' = [record EXCEPT ![a] = s]
     /\ Began(a)
     /\ lease' = IF heard THEN [stopped EXCEPT ![m][a] = Hand(to.epoch, s.token, s.expiry)] ELSE stopped
     /\ UNCHANGED <<clock, proc, member, writes>>

(* Lookup returns the raw record, as it is in this step; a node that finds *)
(* itself named in it learns of its lease, which settles an unknown        *)
(* outcome.                                                                *)
Answer(a) == record[a]

Lookup(n, a) ==
  LET r == Answer(a)
  IN /\ "Lookup" \in Acts
     /\ proc[n] > 0
     /\ r.holder = Self(n)
     /\ lease' = [lease EXCEPT ![n][a] = Hand(proc[n], r.token, r.expiry)]
     /\ UNCHANGED <<clock, proc, member, record, tenure, writes>>

(* A store that does not keep records for ever removes a's.  What stands   *)
(* for it from then on is a floor, numbers that are no lower: whatever is  *)
(* granted later has higher ones than any tenure of a ever had, and who    *)
(* presents such a tenure is refused as before.  A floor is usually one    *)
(* for many actors (RegistryFloor), so that it also rises for those that   *)
(* have no record: that is the same step, of a record that names nobody.   *)
(* How long a store waits before it forgets is its own matter: no guard    *)
(* asks, and no guarantee rests on it.                                     *)
Purge(by, a, token, version) ==
  LET r == record[a]
  IN /\ "Purge" \in Acts
     /\ Runs(by)
     /\ PurgeGuard(r, token, version, Stamp(by))
     /\ record' = [record EXCEPT ![a] = PurgeEffect(token, version)]
     /\ tenure' = [tenure EXCEPT ![a] = [num |-> Max(@.num, token), open |-> FALSE]]
     /\ UNCHANGED <<clock, proc, member, lease, writes>>

-----------------------------------------------------------------------------
(* Membership.  The failure detector is anyone whose clock says so, and it *)
(* can be wrong: a process does not stop when it is found failed.          *)

RegisterNode(n, mode, i, heard) ==
  LET m == RegisterNodeEffect(member[n], i, Stamp(n))
  IN /\ "RegisterNode" \in Acts
     /\ Runs(n)
     /\ member[n].epoch < MaxEpoch
     /\ ~RegisterRepeats(member[n], i)
     /\ Guard("RegisterNode/NodeAbsent", NodeAbsent(member[n], mode))
     /\ member' = [member EXCEPT ![n] = m]
     /\ proc' = IF heard THEN [proc EXCEPT ![n] = m.epoch] ELSE proc
     /\ UNCHANGED <<clock, record, lease, tenure, writes>>

(* The repetition of the registration that is live: answered with it as it *)
(* stands, so that the process learns which incarnation it is.             *)
RegisterRepeat(n, i) ==
  /\ "RegisterRepeat" \in Acts
  /\ Runs(n)
  /\ RegisterRepeats(member[n], i)
  /\ proc' = [proc EXCEPT ![n] = member[n].epoch]
  /\ UNCHANGED <<clock, member, record, lease, tenure, writes>>

Heartbeat(n) ==
  /\ "Heartbeat" \in Acts
  /\ proc[n] > 0
  /\ Guard("Heartbeat/NodeKnown", NodeKnown(member[n], proc[n]))
  /\ Guard("Heartbeat/NodeNotFailed", NodeNotFailed(member[n], proc[n]))
  /\ member' = [member EXCEPT ![n] = HeartbeatEffect(@, Stamp(n))]
  /\ UNCHANGED <<clock, proc, record, lease, tenure, writes>>

(* Marking a failed node again succeeds and changes nothing: no step.      *)
MarkFailed(by, n) ==
  /\ "MarkFailed" \in Acts
  /\ Runs(by)
  /\ member[n].epoch > 0
  /\ member[n].status # "failed"
  /\ Guard("MarkFailed/NodeKnown", NodeKnown(member[n], member[n].epoch))
  /\ Guard("MarkFailed/NodeSilent", NodeSilent(member[n], Stamp(by)))
  /\ member' = [member EXCEPT ![n] = MarkFailedEffect(@)]
  /\ UNCHANGED <<clock, proc, record, lease, tenure, writes>>

(* The process goes on under the epoch that it ended. *)
DeregisterNode(n) ==
  /\ "DeregisterNode" \in Acts
  /\ proc[n] > 0
  /\ Guard("DeregisterNode/NodeLatest", NodeLatest(member[n], proc[n]))
  /\ member' = [member EXCEPT ![n] = DeregisterNodeEffect(@)]
  /\ UNCHANGED <<clock, proc, record, lease, tenure, writes>>

-----------------------------------------------------------------------------
(* The world.                                                              *)

Tick ==
  /\ "Tick" \in Acts
  /\ record' = [a \in Actors |-> [record[a] EXCEPT !.expiry = Max(@ - 1, ExpiryFloor)]]
  /\ member' = [n \in Nodes |-> [member[n] EXCEPT !.seen = Max(@ - 1, SeenFloor)]]
  /\ lease'  = [n \in Nodes |-> [a \in Actors |-> [lease[n][a] EXCEPT !.until = Max(@ - 1, LeaseFloor)]]]
  /\ UNCHANGED <<clock, proc, tenure, writes>>

Drift(n, reading) ==
  /\ "Drift" \in Acts
  /\ reading # clock[n]
  /\ clock' = [clock EXCEPT ![n] = reading]
  /\ UNCHANGED <<proc, member, record, lease, tenure, writes>>

(* The bound on epochs is a budget of crashes: only a process that         *)
(* registered can crash, and only one whose node can register again.       *)
CrashBudget(n) == member[n].epoch < MaxEpoch

(* What a process knows is gone; what it sent is not.                      *)
Crash(n) ==
  /\ "Crash" \in Acts
  /\ proc[n] > 0
  /\ CrashBudget(n)
  /\ proc' = [proc EXCEPT ![n] = Down]
  /\ lease' = [lease EXCEPT ![n] = [a \in Actors |-> NoLease]]
  /\ UNCHANGED <<clock, member, record, tenure, writes>>

Restart(n) ==
  /\ "Restart" \in Acts
  /\ proc[n] = Down
  /\ proc' = [proc EXCEPT ![n] = 0]
  /\ UNCHANGED <<clock, member, record, lease, tenure, writes>>

Writes == [actor : Actors, token : 1 .. MaxToken, num : 1 .. MaxToken]

(* A node checks its belief, pauses, and its write arrives whenever it     *)
(* arrives: after a lapse, after the node's death, after other tenures.    *)
BeginWrite(n, a) ==
  LET w == [actor |-> a, token |-> lease[n][a].token, num |-> tenure[a].num]
  IN /\ "BeginWrite" \in Acts
     /\ Believes(n, a)
     /\ w \notin writes
     /\ Cardinality(writes) < MaxWrites
     /\ writes' = writes \cup {w}
     /\ UNCHANGED <<clock, proc, member, record, lease, tenure>>

LandWrite(w) ==
  /\ "LandWrite" \in Acts
  /\ w \in writes
  /\ ValidateGuard(record[w.actor], w.token)
  /\ writes' = writes \ {w}
  /\ UNCHANGED <<clock, proc, member, record, lease, tenure>>

RefuseWrite(w) ==
  /\ "RefuseWrite" \in Acts
  /\ w \in writes
  /\ ~ValidateGuard(record[w.actor], w.token)
  /\ writes' = writes \ {w}
  /\ UNCHANGED <<clock, proc, member, record, lease, tenure>>

-----------------------------------------------------------------------------

FirstMember == [epoch |-> 1, status |-> "active", seen |-> SeenFloor, instance |-> 0]

Init ==
  /\ clock  = [n \in Nodes |-> 0]
  /\ proc   = [n \in Nodes |-> IF n \in Joined THEN 1 ELSE 0]
  /\ member = [n \in Nodes |-> IF n \in Joined THEN FirstMember ELSE NoMember]
  /\ record = [a \in Actors |-> NoRecord]
  /\ lease  = [n \in Nodes |-> [a \in Actors |-> NoLease]]
  /\ tenure = [a \in Actors |-> [num |-> 0, open |-> FALSE]]
  /\ writes = {}

Modes == {"if-absent", "supersede"}

Steps ==
  \/ \E n \in Nodes, reading \in Readings : Drift(n, reading)
  \/ \E n \in Nodes : Crash(n)
  \/ \E n \in Nodes : Restart(n)
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN : Claim(n, a, k, heard)
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs : ClaimRepeat(n, a, k)
  \/ \E n \in Nodes, a \in Actors, heard \in BOOLEAN : Renew(n, a, heard)
  \/ \E n \in Nodes, a \in Actors : Release(n, a)
  \/ \E n, m \in Nodes, a \in Actors, heard \in BOOLEAN : Transfer(n, a, m, heard)
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

Next == Tick \/ Steps

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* Safety, as state predicates.                                            *)

Refs == [id : Nodes, epoch : 1 .. MaxEpoch]

Expiries == ExpiryFloor .. (TTL + Eps)
Untils   == LeaseFloor .. (TTL + Eps)

TypeOK ==
  /\ clock \in [Nodes -> Readings]
  /\ proc \in [Nodes -> {Down} \cup 0 .. MaxEpoch]
  /\ member \in [Nodes -> [epoch : 0 .. MaxEpoch, status : {"none", "active", "failed", "left"}, seen : SeenFloor .. Eps,
                           instance : Instances \cup {0}]]
  /\ record \in [Actors -> [holder : Refs \cup {Nobody}, token : 0 .. MaxToken, version : 0 .. MaxVersion,
                            expiry : Expiries, claim : ClaimIDs \cup {0}]]
  /\ lease \in [Nodes -> [Actors -> [epoch : 0 .. MaxEpoch, token : 0 .. MaxToken, until : Untils]]]
  /\ tenure \in [Actors -> [num : 0 .. MaxToken, open : BOOLEAN]]
  /\ writes \subseteq Writes
  /\ Cardinality(writes) <= MaxWrites

(* Contract 4.1.  At most one node believes, by its own clock, that it     *)
(* holds a live lease of an actor.                                         *)
SingleActivation ==
  \A a \in Actors : \A n, m \in Nodes : Believes(n, a) /\ Believes(m, a) => n = m

(* Whoever serves is the recorded holder under the current token: a node   *)
(* never takes a tenure that ended for one that runs.                      *)
BelieverIsHolder ==
  \A n \in Nodes, a \in Actors :
    Believes(n, a) => record[a].holder = HandRef(n, a) /\ record[a].token = lease[n][a].token

-----------------------------------------------------------------------------
(* Safety, as action properties: each speaks about every step.             *)

Granted(a)    == tenure'[a].num # tenure[a].num /\ tenure'[a].open
Claimed(a)    == Granted(a) /\ record'[a].claim # 0
HandedOver(a) == Granted(a) /\ record'[a].claim = 0
Forgotten(a)  == \E by \in Nodes : Purge(by, a, record'[a].token, record'[a].version)
(* Renew, Release and Transfer: the record changes, and neither a claim    *)
(* nor a purge did it.                                                     *)
Mutated(a)    == record'[a].version # record[a].version /\ ~Claimed(a) /\ ~Forgotten(a)
Holder(a)     == record[a].holder.id

(* Contract 4.2.  Nobody is granted an actor by a claim before its former  *)
(* holder's own clock has passed Expiry + Grace.                           *)
GraceRespected ==
  [][\A a \in Actors : Claimed(a) /\ Held(a) => clock[Holder(a)] >= record[a].expiry + Grace]_vars

(* Contract 4.3.  Every grant has a token above all before it ...          *)
TokenMonotonic ==
  [][\A a \in Actors : /\ Granted(a) => record'[a].token > record[a].token
                       /\ record'[a].token >= record[a].token]_vars

(* ... and it is the one that no grant had: tokens count the tenures, and  *)
(* a purge counts as as many as its floor is above them.                   *)
NoTokenReuse ==
  [][\A a \in Actors : Granted(a) => record'[a].token = tenure'[a].num]_vars

(* Contract 4.5.  Every mutation adds exactly one to the version, and      *)
(* nothing else touches it.  What was forgotten begins above it.           *)
VersionBump ==
  [][\A a \in Actors :
       LET r == record[a]
           s == record'[a]
           mutated == \/ s.holder # r.holder \/ s.token # r.token \/ s.claim # r.claim \/ s.expiry > r.expiry
       IN IF Forgotten(a) THEN s.version >= r.version
          ELSE /\ mutated => s.version = Bump(r.version)
               /\ s.version \in {r.version, Bump(r.version)}]_vars

(* Contract 4.4.  A guarded write is accepted only from the tenure that    *)
(* runs, however late it arrives.                                          *)
NoStaleWrite ==
  [][\A w \in writes : LandWrite(w) => OfTenure(w)]_vars

(* Section 3, Claim and Transfer: an actor is granted to a registered      *)
(* incarnation that was not found failed.                                  *)
GrantToMember ==
  [][\A a \in Actors : Granted(a) =>
       LET h == record'[a].holder
       IN member[h.id].epoch = h.epoch /\ member[h.id].status = "active"]_vars

(* Section 3, Renew, Release, Transfer: they change a record only for the  *)
(* holder who has the lease of the running tenure in its hand; releasing   *)
(* again, or under an older tenure, changes nothing.                       *)
OnlyHolderMutates ==
  [][\A a \in Actors : Mutated(a) =>
       /\ Held(a)
       /\ lease[Holder(a)][a].token = record[a].token
       /\ HandRef(Holder(a), a) = record[a].holder]_vars

(* Section 2: a lease that has lapsed by its holder's clock is extended by *)
(* nobody, so that who waits for it waits for a bounded time.              *)
LapseIsFinal ==
  [][\A a \in Actors : Held(a) /\ ~Granted(a) /\ record'[a].expiry > record[a].expiry
       => clock[Holder(a)] < record[a].expiry + Grace]_vars

(* Section 3, Transfer: a hand-over has no gap, so it is made while the    *)
(* old holder may still serve.                                             *)
HandOverLive ==
  [][\A a \in Actors : HandedOver(a) /\ Held(a) => clock[Holder(a)] < record[a].expiry]_vars

(* Retention: whom a record names, and who is not gone, is not forgotten.  *)
OnlyGoneForgotten ==
  [][\A a \in Actors : Forgotten(a) /\ Held(a) =>
       ~(member[Holder(a)].epoch = record[a].holder.epoch /\ member[Holder(a)].status = "active")]_vars

(* Section 3, MarkFailed: a node is found failed only when by its own      *)
(* clock it has been silent for FailureTimeout.                            *)
SilenceRespected ==
  [][\A n \in Nodes : member[n].status = "active" /\ member'[n].status = "failed"
       => clock[n] >= member[n].seen + FailureTimeout]_vars

(* Section 1: epochs only grow, by one, and an incarnation that failed or  *)
(* ended never comes back; one that ended is not found failed afterwards.  *)
EpochMonotonic ==
  [][\A n \in Nodes :
       LET m == member[n]
           s == member'[n]
       IN /\ s.epoch \in {m.epoch, m.epoch + 1}
          /\ s.epoch = m.epoch /\ s.status # m.status =>
               <<m.status, s.status>> \in {<<"active", "failed">>, <<"active", "left">>, <<"failed", "left">>}]_vars

(* Section 3, RegisterNode: without supersede it replaces no active        *)
(* registration.                                                           *)
NoSilentSupersede ==
  [][\A n \in Nodes, i \in Instances, heard \in BOOLEAN :
       RegisterNode(n, "if-absent", i, heard) => member[n].status # "active"]_vars

(* Section 3, RegisterNode: a process that repeats its registration does   *)
(* not supersede itself ...                                                *)
RetrySafe ==
  [][\A n \in Nodes :
       LET m == member[n]
           s == member'[n]
       IN s.epoch > m.epoch /\ m.status = "active" => s.instance = 0 \/ s.instance # m.instance]_vars

(* ... and whoever registers goes on under a live incarnation.             *)
RegisteredIsActive ==
  [][\A n \in Nodes :
       proc'[n] # proc[n] /\ proc'[n] > 0 => member'[n].status = "active" /\ member'[n].epoch = proc'[n]]_vars

(* Section 3, Heartbeat: only an active incarnation is seen again.         *)
OnlyActiveSeen ==
  [][\A n \in Nodes :
       member'[n].epoch = member[n].epoch /\ member'[n].seen > member[n].seen
         => member[n].status = "active" /\ proc[n] = member[n].epoch]_vars

(* Section 3, DeregisterNode: an incarnation ends only its own             *)
(* registration, so that a late goodbye cannot end its successor's.        *)
OnlySelfLeaves ==
  [][\A n \in Nodes :
       member[n].status # "left" /\ member'[n].status = "left" => proc[n] = member[n].epoch]_vars

-----------------------------------------------------------------------------
(* What a node is called makes no difference: TLC looks at one of all the  *)
(* states that differ in the nodes' names only.                            *)
Symmetric == {names : names \in {f \in [Nodes -> Nodes] : {f[n] : n \in Nodes} = Nodes}}

=============================================================================
