----------------------------- MODULE FenceProof -----------------------------
(***************************************************************************)
(* How a client settles a commit whose outcome it was not told: the lemma  *)
(* behind fdbimpl's settle, for any versions and any number of other       *)
(* writers.                                                                *)
(*                                                                         *)
(* A transaction read a key at version rv, found revision base, and asked  *)
(* to write base + 1 under a mark of its own.  The database applies it     *)
(* only if the key was not written since rv, at any time: also long after  *)
(* the client stopped to wait.  The client reads the key again.  What it   *)
(* finds may decide.  The revision that it had read before decides nothing *)
(* while the commit may be under way; then it commits a fence, which reads *)
(* the key and claims to write it, and writes nothing.                     *)
(*                                                                         *)
(* Every verdict is right, and stays right: what was called applied is,    *)
(* and what was called anything else is not applied later.                 *)
(***************************************************************************)
EXTENDS Integers

CONSTANTS Dropped, Bugs

VARIABLES
  latest,    \* the highest version that was given to a reader or a commit
  past,      \* every write of the key: [at, rev, own]; own is the mark in question
  key,       \* the last of them
  conflict,  \* the version at which the key was last written, or claimed to be
  doubt,     \* the commit: [state, rv, base, at]
  told,      \* what the client was told of it: [how, at]
  probe,     \* what the client reads: [state, rv, found]
  verdict

vars == <<latest, past, key, conflict, doubt, told, probe, verdict>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

Max(x, y) == IF x < y THEN y ELSE x

ASSUME Sorts == Dropped \subseteq STRING /\ Bugs \subseteq STRING

Write == [at : Int, rev : Int, own : BOOLEAN]

Types ==
  /\ latest \in Nat
  /\ past \subseteq Write
  /\ key \in Write
  /\ conflict \in Int
  /\ doubt \in [state : {"none", "sent", "landed", "dead"}, rv : Int, base : Int, at : Int]
  /\ told \in [how : {"nothing", "pending", "settled"}, at : Int]
  /\ probe \in [state : {"idle", "read"}, rv : Int, found : Write]
  /\ verdict \in {"none", "applied", "refuted", "overtaken"}

First == [at |-> 0, rev |-> 0, own |-> FALSE]

Init ==
  /\ latest = 0
  /\ past = {First} /\ key = First /\ conflict = 0
  /\ doubt = [state |-> "none", rv |-> 0, base |-> 0, at |-> 0]
  /\ told = [how |-> "nothing", at |-> 0]
  /\ probe = [state |-> "idle", rv |-> 0, found |-> First]
  /\ verdict = "none"

(* What a reader at version rv finds. *)
Snapshot(rv, e) == e \in past /\ e.at <= rv /\ \A f \in past : f.at <= rv => f.at <= e.at

(* A commit gets a version above all that were given out before.           *)
Newer(v) == v > latest

-----------------------------------------------------------------------------
(* The database and the others.                                            *)

Advance(v) ==
  /\ Newer(v)
  /\ latest' = v
  /\ UNCHANGED <<past, key, conflict, doubt, told, probe, verdict>>

Put(v, rev, own) ==
  LET w == [at |-> v, rev |-> rev, own |-> own]
  IN /\ latest' = v
     /\ past' = past \cup {w}
     /\ key' = w
     /\ conflict' = v

(* Another client's write. *)
OtherWrite(v) ==
  /\ Newer(v)
  /\ Put(v, key.rev + 1, FALSE)
  /\ UNCHANGED <<doubt, told, probe, verdict>>

(* The commit arrives and passes the conflict check ... *)
Land(v) ==
  /\ doubt.state = "sent"
  /\ Newer(v)
  /\ Guard("Land/KeyUnchanged", conflict <= doubt.rv)
  /\ Put(v, doubt.base + 1, TRUE)
  /\ doubt' = [doubt EXCEPT !.state = "landed", !.at = v]
  /\ UNCHANGED <<told, probe, verdict>>

(* ... or is rejected, or lost. *)
Die ==
  /\ doubt.state = "sent"
  /\ doubt' = [doubt EXCEPT !.state = "dead"]
  /\ UNCHANGED <<latest, past, key, conflict, told, probe, verdict>>

-----------------------------------------------------------------------------
(* The client.                                                             *)

Send(rv, e) ==
  /\ doubt.state = "none"
  /\ rv <= latest
  /\ Snapshot(rv, e)
  /\ doubt' = [state |-> "sent", rv |-> rv, base |-> e.rev, at |-> 0]
  /\ UNCHANGED <<latest, past, key, conflict, told, probe, verdict>>

(* A timeout: the commit may be under way. *)
TellPending ==
  /\ doubt.state # "none" /\ told.how = "nothing"
  /\ told' = [how |-> "pending", at |-> doubt.rv]
  /\ UNCHANGED <<latest, past, key, conflict, doubt, probe, verdict>>

(* Commit unknown result: it is not. *)
TellSettled ==
  /\ doubt.state \in {"landed", "dead"} /\ told.how = "nothing"
  /\ told' = [how |-> "settled", at |-> latest]
  /\ UNCHANGED <<latest, past, key, conflict, doubt, probe, verdict>>

(* Read versions do not go back: a transaction that begins after another   *)
(* had its read version has no lower one, and one that begins after a      *)
(* commit was decided sees it.                                             *)
Probe(rv, e) ==
  /\ told.how # "nothing" /\ verdict = "none"
  /\ rv <= latest
  /\ Guard("Probe/SinceTold", rv >= told.at)
  /\ Snapshot(rv, e)
  /\ probe' = [state |-> "read", rv |-> rv, found |-> e]
  /\ UNCHANGED <<latest, past, key, conflict, doubt, told, verdict>>

Open == probe.found.rev = doubt.base /\ told.how = "pending" /\ ~Bug("ReadDecides")

(* What the read decides by itself. *)
Judge ==
  /\ probe.state = "read" /\ verdict = "none"
  /\ ~Open
  /\ verdict' = CASE probe.found.own                   -> "applied"
                  [] probe.found.rev = doubt.base      -> "refuted"
                  [] probe.found.rev = doubt.base + 1  -> "refuted"
                  [] OTHER                             -> "overtaken"
  /\ UNCHANGED <<latest, past, key, conflict, doubt, told, probe>>

(* The probe's own commit. *)
Fence(v) ==
  /\ probe.state = "read" /\ verdict = "none"
  /\ Open
  /\ Guard("Fence/CommitsNewer", Newer(v))
  /\ Guard("Fence/KeyUnchanged", conflict <= probe.rv)
  /\ latest' = Max(v, latest)
  /\ conflict' = IF Bug("FenceWritesNothing") THEN conflict ELSE v
  /\ verdict' = "refuted"
  /\ UNCHANGED <<past, key, doubt, told, probe>>

Next ==
  \/ \E v \in Nat : Advance(v) \/ OtherWrite(v) \/ Land(v) \/ Fence(v)
  \/ Die
  \/ \E rv \in Nat, e \in past : Send(rv, e) \/ Probe(rv, e)
  \/ TellPending \/ TellSettled
  \/ Judge

-----------------------------------------------------------------------------
(* Properties.                                                             *)

AppliedIsApplied == verdict = "applied" => doubt.state = "landed"

RefutedIsNotApplied == verdict = "refuted" => doubt.state # "landed"

(* No verdict is followed by the commit's arrival. *)
VerdictIsFinal == [][verdict # "none" => doubt'.state = doubt.state \/ doubt'.state # "landed"]_vars

(* Not even of one that tells nothing of the past. *)
OvertakenIsOver == [][verdict = "overtaken" => doubt'.state = doubt.state \/ doubt'.state # "landed"]_vars

-----------------------------------------------------------------------------
(* The invariant.                                                          *)

KeyBeforeConflict == key.at <= conflict

ConflictIsPast == conflict <= latest

KeyIsWritten == key \in past

KeyIsLast == \A e \in past : e.at <= key.at

RevisionsGrow == \A e, f \in past : e = f \/ (e.at < f.at /\ e.rev < f.rev) \/ (f.at < e.at /\ f.rev < e.rev)

(* The commit's read version parts what was written before, up to the      *)
(* revision that it found, from what was written since.                    *)
BaseWasRead ==
  doubt.state # "none" =>
    /\ doubt.rv <= latest
    /\ \E e \in past : e.at <= doubt.rv /\ e.rev = doubt.base
    /\ \A e \in past : IF e.at <= doubt.rv THEN e.rev <= doubt.base ELSE e.rev > doubt.base

OwnIsTheCommits ==
  \A e \in past : e.own => doubt.state = "landed" /\ e.rev = doubt.base + 1

LandedIsWritten ==
  doubt.state = "landed" => doubt.at > doubt.rv /\ [at |-> doubt.at, rev |-> doubt.base + 1, own |-> TRUE] \in past

SettledIsOver ==
  told.how = "settled" => doubt.state \in {"landed", "dead"} /\ (doubt.state = "landed" => doubt.at <= told.at)

ToldAfterSend == told.how # "nothing" => doubt.state # "none" /\ told.at <= latest /\ told.at >= doubt.rv

VerdictAfterTold == verdict # "none" => told.how # "nothing"

ProbeIsSnapshot ==
  probe.state = "read" =>
    /\ told.how # "nothing"
    /\ probe.rv <= latest /\ probe.rv >= told.at
    /\ Snapshot(probe.rv, probe.found)

(* After a verdict a commit under way meets a conflict. *)
VerdictMeetsConflict == verdict # "none" /\ doubt.state = "sent" => conflict > doubt.rv

SettleInv ==
  /\ KeyBeforeConflict /\ ConflictIsPast /\ KeyIsWritten /\ KeyIsLast /\ RevisionsGrow
  /\ BaseWasRead /\ OwnIsTheCommits /\ LandedIsWritten
  /\ SettledIsOver /\ ToldAfterSend /\ VerdictAfterTold /\ ProbeIsSnapshot
  /\ VerdictMeetsConflict /\ RefutedIsNotApplied /\ AppliedIsApplied

=============================================================================
