--------------------------- MODULE KeeperMistakes ---------------------------
(***************************************************************************)
(* Single definitions of Keeper written wrong, which KeeperContract must   *)
(* notice.  The manifest puts each in the place of the right one.          *)
(***************************************************************************)
EXTENDS KeeperContract

\* A grant leaves the marks of earlier tenures.
KeepsMarks(set) == set

\* A release that is refused to its holder.
NeverReleased(m) == Refuse(m)

\* A second request while the first is not answered.
AsksTwice(n) == keeper[n].up /\ ~keeper[n].rests

\* A keeper that may stop at any time stops for nothing.
StopsEarly(n) ==
  /\ keeper[n].work /\ keeper' = [keeper EXCEPT ![n] = [Idle EXCEPT !.rests = TRUE]]
  /\ UNCHANGED <<record, net, faults, crashes>>

\* Who has just begun has to rest.
TiredFirst == [up |-> TRUE, work |-> FALSE, deadline |-> DeadlineFloor, current |-> FALSE, rests |-> TRUE]
=============================================================================
