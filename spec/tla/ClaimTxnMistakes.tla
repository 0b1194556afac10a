-------------------------- MODULE ClaimTxnMistakes --------------------------
(***************************************************************************)
(* Single definitions of ClaimTxn written wrong, each noticed by one part  *)
(* of one of its properties only.  The manifest puts each in the place of  *)
(* the right one.                                                          *)
(***************************************************************************)
EXTENDS ClaimTxnRefinement

Valued(r, token) == [holder |-> r.holder, token |-> token, claim |-> r.claim]

(* A grant leaves a token out, or a hand-over keeps the token. *)
SkipsToken(r) == Valued(r, IF r.holder # S!Nobody THEN 2 * r.token ELSE r.token)
KeepsToken(r) == Valued(r, IF r.holder # S!Nobody /\ r.claim = 0 THEN r.token - 1 ELSE r.token)

(* A write of a registration, of its last-seen time or of the floor adds   *)
(* more than one to the revision.                                          *)
SkipsSeen(m, rev, mark)  == [rev |-> 2 * rev, mark |-> mark, at |-> m.seen]
SkipsFloor(f, rev, mark) == [rev |-> 2 * rev, mark |-> mark, token |-> f.token, version |-> f.version]
SkipsStanding(m, rev, mark) ==
  [rev |-> 2 * rev, mark |-> mark, epoch |-> m.epoch, status |-> m.status, instance |-> m.instance]

(* A registration leaves an epoch out, or begins none. *)
SkipsEpoch(m, rev, mark) ==
  [rev |-> rev, mark |-> mark, epoch |-> 2 * m.epoch - 1, status |-> m.status, instance |-> m.instance]
SameEpoch(m, rev, mark) ==
  [rev |-> rev, mark |-> mark, epoch |-> 1, status |-> m.status, instance |-> m.instance]

(* A guarded write is applied and leaves nothing behind. *)
AppliesUnseen(w) ==
  /\ Valid(w)
  /\ ver' = ver + 1
  /\ store' = [key \in DOMAIN store |-> IF key \in DOMAIN w.put /\ key[1] # "state" THEN w.put[key] ELSE store[key]]
  /\ written' = [key \in DOMAIN written |-> IF key \in w.writes THEN ver + 1 ELSE written[key]]
  /\ wire' = wire \ {w}

(* For a doubt that is settled: nobody stops to wait. *)
WaitsForEver(w) == FALSE
=============================================================================
