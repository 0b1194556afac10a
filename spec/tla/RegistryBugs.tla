---------------------------- MODULE RegistryBugs ----------------------------
(***************************************************************************)
(* The failure catalogue as variants of Registry.  A configuration         *)
(* replaces definitions of Registry by those named Bug... here (Claimable  *)
(* <- BugClaimable, and so on) and switches one variant on.  With none     *)
(* switched on the replaced module is Registry again, which a              *)
(* configuration checks by the number of its states.                       *)
(***************************************************************************)
EXTENDS Registry

CONSTANT Bugs  \* the variants switched on

VARIABLE cache \* actor -> what a cache in front of the store answers

Bug(name) == name \in Bugs

(* F5: placement asks the membership, renewals go to a lease manager, and  *)
(* neither looks at the other: a node not active is thought to hold        *)
(* nothing.  F8: no grace.  F9: no margin for the clocks.                  *)
BugClaimable(r, c) ==
  r.holder # Nobody =>
    CASE Bug("F5") -> Standing(member[r.holder.id], r.holder.epoch) # "active"
      [] Bug("F8") -> c >= r.expiry + Margin
      [] Bug("F9") -> c >= r.expiry + Grace
      [] OTHER     -> Reclaimable(r, c)

(* SkewlessDetector: the failure detector ignores that clocks differ. *)
BugNodeSilent(m, c) ==
  c >= m.seen + FailureTimeout + IF Bug("SkewlessDetector") THEN 0 ELSE 2 * Eps

(* F16: a retried claim does not recognise its own earlier commit and is   *)
(* applied again.                                                          *)
BugClaimRepeats(r, ref, k, c) ==
  ~Bug("F16") /\ r.holder = ref /\ r.claim = k /\ ~Lapsed(r, c)

BugClaimGuard(r, m, ref, c) ==
  /\ NodeKnown(m, ref.epoch)
  /\ NodeNotFailed(m, ref.epoch)
  /\ Claimable(r, c) \/ (Bug("F16") /\ r.holder = ref)

BugGrantEffect(r, ref, k, c) ==
  [holder |-> ref, token |-> IF Bug("TokenNotBumped") THEN 1 ELSE r.token + 1,
   version |-> Bump(r.version), expiry |-> c + TTL, claim |-> k]

(* F6: the token of a guarded write is not looked at. *)
BugValidateGuard(r, token) ==
  Bug("F6") \/ (TokenCurrent(r, token) /\ token <= r.token /\ r.holder # Nobody)

(* F7: release deletes the record. *)
BugReleaseEffect(r) ==
  IF Bug("F7") THEN NoRecord ELSE [r EXCEPT !.version = Bump(r.version), !.holder = Nobody]

(* F10: whether the lease still runs is never asked again. *)
BugBelieves(n, a) ==
  IF Bug("F10") THEN lease[n][a].token > 0 ELSE clock[n] < lease[n][a].until

(* InstanceIgnored: a registration that is repeated after a lost answer is *)
(* taken for a new one.  InstanceOutlives: it is answered with the         *)
(* registration under its instance though that failed meanwhile.           *)
BugRegisterRepeats(m, i) ==
  CASE Bug("InstanceIgnored")  -> FALSE
    [] Bug("InstanceOutlives") -> m.status # "none" /\ i # 0 /\ m.instance = i
    [] OTHER                   -> m.status = "active" /\ i # 0 /\ m.instance = i

(* F15: who is found failed loses its actors at once. *)
BugMarkFailed(by, n) ==
  /\ "MarkFailed" \in Acts
  /\ Runs(by)
  /\ member[n].epoch > 0
  /\ member[n].status # "failed"
  /\ NodeKnown(member[n], member[n].epoch)
  /\ NodeSilent(member[n], Stamp(by))
  /\ member' = [member EXCEPT ![n] = MarkFailedEffect(@)]
  /\ record' = IF Bug("F15")
               THEN [a \in Actors |-> IF record[a].holder.id = n THEN ReleaseEffect(record[a]) ELSE record[a]]
               ELSE record
  /\ UNCHANGED <<clock, proc, lease, tenure, writes>>

(* F11: the store restarts together with a node, and is empty. *)
BugRestart(n) ==
  /\ "Restart" \in Acts
  /\ proc[n] = Down
  /\ proc' = [proc EXCEPT ![n] = 0]
  /\ record' = IF Bug("F11") THEN [a \in Actors |-> NoRecord] ELSE record
  /\ member' = IF Bug("F11") THEN [m \in Nodes |-> NoMember] ELSE member
  /\ UNCHANGED <<clock, lease, tenure, writes>>

(* F12: a lookup is answered from a cache. *)
BugAnswer(a) == IF Bug("F12") THEN cache[a] ELSE record[a]

(* LateDeadline: a node that settles an unknown outcome counts its lease   *)
(* from the answer instead of from before it asked.                        *)
BugLookup(n, a) ==
  LET r == Answer(a)
      l == Hand(proc[n], r.token, r.expiry)
  IN /\ "Lookup" \in Acts
     /\ proc[n] > 0
     /\ r.holder = Self(n)
     /\ lease' = [lease EXCEPT ![n][a] = IF Bug("LateDeadline") THEN [l EXCEPT !.until = clock[n] + TTL] ELSE l]
     /\ UNCHANGED <<clock, proc, member, record, tenure, writes>>

(* The cache keeps what it has, its instants ageing with time, or takes    *)
(* the record over; in the other variants it is always the record.         *)
Aged == [a \in Actors |-> [cache[a] EXCEPT !.expiry = Max(@ - 1, ExpiryFloor)]]

BugInit == Init /\ cache = record
BugNext ==
  \/ Tick /\ cache' = IF Bug("F12") THEN Aged ELSE record'
  \/ Steps /\ cache' \in (IF Bug("F12") THEN {cache, record'} ELSE {record'})
BugSpec == BugInit /\ [][BugNext]_<<vars, cache>>

=============================================================================
