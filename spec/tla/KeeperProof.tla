---------------------------- MODULE KeeperProof -----------------------------
(***************************************************************************)
(* The keeper's rule, for any number of nodes and requests and any times:  *)
(* who stops working at min(reading before the request + TTL, expiry in    *)
(* the answer) - SafetyMargin never works at the same time as another.     *)
(*                                                                         *)
(* conform prove shows that StepDownInv holds at the start, is preserved   *)
(* by every step of Keeper, and implies NoOverlap and the others.          *)
(***************************************************************************)
EXTENDS KeeperContract

ASSUME Constants ==
  /\ Nodes \subseteq STRING /\ None \notin Nodes
  /\ TTL \in Nat \ {0} /\ Grace \in Nat /\ Eps \in Nat /\ Margin \in Nat /\ SafetyMargin \in Int
  /\ ByReading \in BOOLEAN /\ Prompt \in BOOLEAN
  /\ RenewAfter \in Int /\ MaxFaults \in Nat /\ MaxCrashes \in Nat /\ MaxLate \in Nat
  /\ GiveUps \subseteq {"release", "transfer"} /\ Dropped \subseteq STRING /\ Bugs \subseteq STRING

Contract   == Margin = 2 * Eps /\ SafetyMargin >= 0
ThinMargin == Margin < 2 * Eps /\ SafetyMargin >= 0
WorksOn    == Margin = 2 * Eps /\ SafetyMargin < 0

Requests ==
  [node : Nodes, kind : {"claim", "renew", "adopt", "release", "transfer"}, to : Nodes, before : Int, current : BOOLEAN,
   state : {"sent", "ok", "refused"}, expiry : Int, waits : BOOLEAN]

Types ==
  /\ record \in [holder : Nodes \cup {None}, expiry : Int, again : BOOLEAN]
  /\ keeper \in [Nodes -> [up : BOOLEAN, work : BOOLEAN, deadline : Int, current : BOOLEAN, rests : BOOLEAN]]
  /\ net \subseteq Requests
  /\ faults \in Int
  /\ crashes \in Int

(* What is marked as of the running tenure is its holder's, who has heard  *)
(* of it and claims it no more.                                            *)
CurrentHandsAreHolders == \A n \in Nodes : keeper[n].current => record.holder = n /\ ~record.again

CurrentRequestsAreHolders == \A m \in net : m.current => record.holder = m.node

(* A deadline that some clock has not reached is the holder's, and no      *)
(* later than the record's expiry.  Another's claim needs a reading        *)
(* c <= Eps with c >= expiry + Grace + 2 Eps: by then every clock is past  *)
(* the expiry, and so past the deadline.                                   *)
DeadlineInTime ==
  \A n \in Nodes : keeper[n].work /\ keeper[n].deadline > DeadlineFloor =>
    record.holder = n /\ keeper[n].current /\ keeper[n].deadline <= record.expiry

(* The same of an answer on its way to whom waits for it: of the running   *)
(* tenure it says no more than the record does, of an earlier one nothing  *)
(* that lets anybody work.                                                 *)
AnswersInTime ==
  \A m \in net : m.state = "ok" /\ m.waits =>
    IF m.current THEN m.expiry <= Max(record.expiry, DeadlineFloor) ELSE m.expiry <= DeadlineFloor

(* The answer to a renewal finds the tenure that it was asked under, or no *)
(* work at all.                                                            *)
RenewsItsTenure ==
  \A m \in net : m.waits /\ m.kind = "renew" /\ m.current /\ keeper[m.node].work => keeper[m.node].current

(* While a release or hand-over of the running tenure is on its way, its   *)
(* node has nothing in its hand of that tenure, and no answer that it      *)
(* waits for will give it anything: it has stopped for good.               *)
GivenUp ==
  \A m \in net : m.kind \in {"release", "transfer"} /\ m.current =>
    /\ ~keeper[m.node].current /\ ~record.again
    /\ \A x \in net : x.node = m.node /\ x.waits /\ x.current => x = m

StepDownInv ==
  /\ CurrentHandsAreHolders
  /\ CurrentRequestsAreHolders
  /\ DeadlineInTime
  /\ AnswersInTime
  /\ RenewsItsTenure
  /\ GivenUp
  /\ StopsFirst
  /\ WaitsForOne

=============================================================================
