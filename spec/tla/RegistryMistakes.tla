-------------------------- MODULE RegistryMistakes --------------------------
(***************************************************************************)
(* Single definitions of Registry written wrong, for entries of the        *)
(* manifest that put one in the place of the right one: each must be       *)
(* noticed by a property of RegistryContract.  The first are those that no *)
(* honest client notices, because it only ever presents its own lease.     *)
(***************************************************************************)
EXTENDS RegistryContract

(* The holder is compared by its name, without its epoch ... *)
HeldByName(r, ref, token) == token <= r.token /\ r.holder.id = ref.id

(* ... or without looking whether the token was ever given out. *)
HeldByHolder(r, ref, token) == r.holder = ref

(* Any claim of the holder repeats the one that began the tenure. *)
RepeatsAnyClaim(r, ref, k, c) == r.holder = ref /\ ~Lapsed(r, c)

(* A heartbeat never lets the last-seen time fall. *)
LatestHeartbeat(m, c) == [m EXCEPT !.seen = Max(@, c)]

(* An incarnation that was superseded is unknown instead of failed. *)
ForgetsOldEpochs(m, epoch) == IF epoch = m.epoch /\ m.status \in {"active", "failed"} THEN m.status ELSE "unknown"

(* ... or stands as long as its successor does. *)
OldEpochsStand(m, epoch) == IF epoch > m.epoch \/ m.status \in {"none", "left"} THEN "unknown" ELSE m.status

(* A registration leaves an epoch out. *)
SkipsEpoch(m, i, c) == [epoch |-> m.epoch + 2, status |-> "active", seen |-> c, instance |-> i]

(* A heartbeat brings back who was found failed. *)
Revives(m, c) == [m EXCEPT !.seen = c, !.status = "active"]

(* A failed node may not register again. *)
FailedStays(m, mode) == m.status \in {"active", "failed"} => mode = "supersede"

(* A token that was never given out is fenced. *)
OnlyEqual(r, token) == token = r.token

(* An incarnation that left leaves again. *)
LeavesTwice(m, epoch) == m.epoch = epoch

(* A release does not count as a mutation. *)
UncountedRelease(r) == [r EXCEPT !.holder = Nobody]

(* A hand-over in grace. *)
LiveInGrace(r, c) == c < r.expiry + Grace

(* A lookup hides what has expired. *)
Filtered(a) == IF record[a].expiry < 0 THEN NoRecord ELSE record[a]

(* A lookup, or the repetition of a claim or registration, and a heartbeat *)
(* that is answered and does nothing.                                      *)
SilentLookup(n, a)         == "Lookup" \in Acts /\ proc[n] > 0 /\ record[a].holder = Self(n) /\ UNCHANGED vars
SilentClaimRepeat(n, a, k) ==
  "ClaimRepeat" \in Acts /\ proc[n] > 0 /\ ClaimRepeats(record[a], Self(n), k, Stamp(n)) /\ UNCHANGED vars
SilentRegisterRepeat(n, i) == "RegisterRepeat" \in Acts /\ Runs(n) /\ RegisterRepeats(member[n], i) /\ UNCHANGED vars
SilentHeartbeat(n)         == "Heartbeat" \in Acts /\ proc[n] > 0 /\ Standing(member[n], proc[n]) = "active" /\ UNCHANGED vars

(* A node that has joined and left. *)
LeftFirst == [epoch |-> 1, status |-> "left", seen |-> SeenFloor, instance |-> 0]

(* A crash as long as anybody likes, and a claim for nobody. *)
AnyCrash(n)           == TRUE
NeverAgain(r, c)      == r.holder = Nobody /\ r.token = 0

(* Nobody presents a token from the future, and nothing has lapsed. *)
KnownTokens == 1 .. MaxToken
NoneLapsed  == 0

(* What only one part of a property of Registry notices.  Who gives a     *)
(* lease up goes on serving; a lookup, or a heartbeat, is for whoever has  *)
(* the name; a grant leaves a token out; a renewal begins with a new count *)
(* of versions; a repeated registration is told the incarnation before.    *)
KeepsServing(l)        == l
SkipsToken(r, ref, k, c) == [holder |-> ref, token |-> r.token + 2, version |-> Once(r.version), expiry |-> c + TTL, claim |-> k]
RenewsUncounted(r, c)  == [r EXCEPT !.version = 0, !.expiry = Max(@, c + TTL)]
LookupByName(n, a) ==
  /\ "Lookup" \in Acts /\ proc[n] > 0 /\ record[a].holder.id = n
  /\ lease' = [lease EXCEPT ![n][a] = Hand(proc[n], record[a].token, record[a].expiry)]
  /\ UNCHANGED <<clock, proc, member, record, tenure, writes>>
HeartbeatByName(n) ==
  /\ "Heartbeat" \in Acts /\ proc[n] > 0 /\ member[n].status = "active"
  /\ member' = [member EXCEPT ![n] = HeartbeatEffect(@, Stamp(n))]
  /\ UNCHANGED <<clock, proc, record, lease, tenure, writes>>
ToldOfTheLast(n, i) ==
  /\ "RegisterRepeat" \in Acts /\ Runs(n) /\ RegisterRepeats(member[n], i)
  /\ proc' = [proc EXCEPT ![n] = member[n].epoch - 1]
  /\ UNCHANGED <<clock, member, record, lease, tenure, writes>>

(* A machine in which nobody releases, or without processes that come back. *)
NoRelease == \/ Tick
             \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN : Claim(n, a, k, heard)
NoRestart == \/ Tick
             \/ \E n \in Nodes : Crash(n)
             \/ \E n \in Nodes, mode \in Modes, i \in Instances, heard \in BOOLEAN : RegisterNode(n, mode, i, heard)
=============================================================================
