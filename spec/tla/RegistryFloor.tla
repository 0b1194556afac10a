--------------------------- MODULE RegistryFloor ----------------------------
(***************************************************************************)
(* A store that forgets: rows for the actors that it remembers, and one    *)
(* floor, in which are numbers no lower than those of any row it removed.  *)
(* The row is removed and the floor raised in one step.  A claim of an     *)
(* actor without a row reads the floor and starts above it.                *)
(*                                                                         *)
(* A store with many floors, each for a part of the actors, is as many of  *)
(* these: no step of one part reads or writes the floor of another.        *)
(*                                                                         *)
(* Each step is one of Registry: record[a] of an actor without a row is    *)
(* the floor that a claim of it was last known to start from.  Meet brings *)
(* it up to the floor; to the store that is no step.                       *)
(*                                                                         *)
(* What a process knows of the floor is floor[n], so that mistakes can be  *)
(* told; in the right store all processes read the same one.               *)
(***************************************************************************)
EXTENDS Registry

CONSTANT Bugs  \* the mistakes made; {} is the right store

VARIABLES
  rows,   \* the actors with a row
  floor,  \* node -> what a claim by it finds as the floor: [token, version]
  owed    \* ghost of a mistake: what the floor has not been raised by yet

floorVars == <<vars, rows, floor, owed>>

Bug(name) == name \in Bugs

Zero == [token |-> 0, version |-> 0]
Over(f, r) == [token |-> Max(f.token, r.token), version |-> Max(f.version, r.version)]
At(f) == PurgeEffect(f.token, f.version)

(* Drop: NoFloor raises nothing, FloorLater raises it in a step of its own *)
(* after the row is gone, FloorPerProcess keeps it in who removed the row. *)
Raised(by, r) ==
  CASE Bug("NoFloor")         -> floor
    [] Bug("FloorLater")      -> floor
    [] Bug("FloorPerProcess") -> [floor EXCEPT ![by] = Over(@, r)]
    [] OTHER                      -> [n \in Nodes |-> Over(floor[n], r)]

Vanished(by, a, f) ==
  /\ record' = [record EXCEPT ![a] = At(f)]
  /\ tenure' = [tenure EXCEPT ![a] = [num |-> Max(@.num, f.token), open |-> FALSE]]
  /\ UNCHANGED <<clock, proc, member, lease, writes>>

Drop(by, a) ==
  /\ "Purge" \in Acts
  /\ Runs(by)
  /\ a \in rows
  /\ Claimable(record[a], Stamp(by)) /\ HolderGone(record[a])
  /\ floor' = Raised(by, record[a])
  /\ owed' = IF Bug("FloorLater") THEN Over(owed, record[a]) ELSE owed
  /\ rows' = rows \ {a}
  /\ Vanished(by, a, floor'[by])

(* What n's claim of an actor without a row starts from.                   *)
Meet(n, a) ==
  /\ "Purge" \in Acts
  /\ Runs(n)
  /\ a \notin rows
  /\ record[a] # At(floor[n])
  /\ Vanished(n, a, floor[n])
  /\ UNCHANGED <<rows, floor, owed>>

Grant(n, a, k, heard) ==
  /\ a \in rows \/ record[a] = At(floor[n])
  /\ Claim(n, a, k, heard)
  /\ rows' = rows \cup {a}
  /\ UNCHANGED <<floor, owed>>

(* The other steps look at no floor.  FloorLater raises it in one of them. *)
Elsewhere ==
  /\ \/ Tick
     \/ \E n \in Nodes, a \in Actors, heard \in BOOLEAN : Renew(n, a, heard)
     \/ \E n \in Nodes, a \in Actors : Release(n, a) \/ BeginWrite(n, a)
     \/ \E n \in Nodes : DeregisterNode(n)
     \/ \E w \in Writes : LandWrite(w) \/ RefuseWrite(w)
  /\ floor' \in {floor, [n \in Nodes |-> Over(floor[n], owed)]}
  /\ owed' = IF floor' = floor THEN owed ELSE Zero
  /\ UNCHANGED rows

FloorInit == Init /\ rows = {} /\ floor = [n \in Nodes |-> Zero] /\ owed = Zero
FloorNext ==
  \/ Elsewhere
  \/ \E n \in Nodes, a \in Actors : Drop(n, a) \/ Meet(n, a)
  \/ \E n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN : Grant(n, a, k, heard)

FloorSpec == FloorInit /\ [][FloorNext]_floorVars

(* The store is Registry.                                                  *)
OnlyRegistrySteps == [][Next]_vars

(* Every number that was ever told of an actor without a row is covered by *)
(* the floor that any process would find.                                  *)
FloorCovers ==
  \A n \in Nodes, a \in Actors : a \notin rows => floor[n].token >= tenure[a].num /\ floor[n].version >= record[a].version

-----------------------------------------------------------------------------
(* Mistakes that only one part of these properties notices: the floor      *)
(* of another process has no versions; it is raised for one actor, or when *)
(* no row is left; a node stops serving and nobody asked it to; a row is   *)
(* dropped as soon as it can be claimed.                                   *)
VersionsOwn(by, r) ==
  [n \in Nodes |-> IF n = by THEN Over(floor[n], r) ELSE [floor[n] EXCEPT !.token = Max(@, r.token)]]

DropsLater(by, a) ==
  /\ "Purge" \in Acts
  /\ Runs(by) /\ a \in rows /\ ~Held(a) /\ tenure[a].num = 1
  /\ floor' = IF rows = {a} \/ a = (CHOOSE b \in Actors : TRUE)
              THEN [n \in Nodes |-> [token |-> MaxToken, version |-> MaxVersion]] ELSE floor
  /\ rows' = rows \ {a}
  /\ Vanished(by, a, floor'[by])
  /\ UNCHANGED owed

DropsClaimable(by, a) ==
  /\ "Purge" \in Acts
  /\ Runs(by) /\ a \in rows /\ Claimable(record[a], Stamp(by))
  /\ floor' = Raised(by, record[a])
  /\ rows' = rows \ {a}
  /\ Vanished(by, a, floor'[by])
  /\ UNCHANGED owed

StopsUnasked(n, a) ==
  /\ Believes(n, a)
  /\ lease' = [lease EXCEPT ![n][a] = Stopped(@)]
  /\ UNCHANGED <<clock, proc, member, record, tenure, writes, rows, floor, owed>>

=============================================================================
