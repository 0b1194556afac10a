------------------------------ MODULE Journal -------------------------------
(***************************************************************************)
(* What a store on a file may answer, and when: memimpl's journal.  Memory *)
(* runs ahead of the file, batches are written and synced one after        *)
(* another, and an answer waits until what it tells is on stable storage.  *)
(* The process may be killed at any point.  What the operating system was  *)
(* given and did not sync is then there or not; a failed sync may have     *)
(* kept or lost what it was to sync.                                       *)
(*                                                                         *)
(* A change is made on top of another: a grant with token 3 follows the    *)
(* one with token 2.  Contents are sequences of changes, each of which     *)
(* names the one before it, so that a hole or another order is seen.       *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
  MaxChanges, MaxCrashes, MaxFailures,  \* bounds of the model
  Dropped,  \* guard conjuncts left out; {} is the contract
  Bugs      \* variants switched on; {} is the contract

VARIABLES
  mode,     \* "open", "stuck" after a commit of unknown outcome, "down"
  memory,   \* the changes made, as the process sees them
  flying,   \* the contents that the running commit is to reach; << >> for none
  given,    \* the contents as the operating system has them
  disk,     \* the contents on stable storage
  landed,   \* what the process takes to be there: the contents of the last commit that succeeded
  waiting,  \* operations not answered yet: [op, sees], sees is the memory they rest on
  known,    \* the longest contents that some answer told of
  denied,   \* changes whose operation was told that nothing happened
  made, crashes, failures  \* counters of the bounds

vars == <<mode, memory, flying, given, disk, landed, waiting, known, denied, made, crashes, failures>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

IsPrefix(s, t)  == Len(s) <= Len(t) /\ SubSeq(t, 1, Len(s)) = s
Longer(s, t)    == IF Len(s) > Len(t) THEN s ELSE t
Range(s)        == {s[i] : i \in 1 .. Len(s)}
Last(s)         == IF s = << >> THEN 0 ELSE s[Len(s)].id
Beyond(s, t)    == Range(s) \ Range(t)

Init ==
  /\ mode = "open"
  /\ memory = << >> /\ flying = << >> /\ given = << >> /\ disk = << >> /\ landed = << >>
  /\ waiting = {} /\ known = << >> /\ denied = {}
  /\ made = 0 /\ crashes = 0 /\ failures = 0

(* A write changes the memory and waits for its batch. *)
Write ==
  LET next == Append(memory, [id |-> made + 1, after |-> Last(memory)])
  IN /\ mode = "open" /\ made < MaxChanges
     /\ memory' = next /\ made' = made + 1
     /\ waiting' = waiting \cup {[op |-> "write", sees |-> next]}
     /\ UNCHANGED <<mode, flying, given, disk, landed, known, denied, crashes, failures>>

(* A lookup, a refusal and a no-op tell of the memory too. *)
Read ==
  /\ mode # "down"
  /\ waiting' = waiting \cup {[op |-> "read", sees |-> memory]}
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, known, denied, made, crashes, failures>>

(* The commit of everything made so far. *)
Begin ==
  /\ mode = "open" /\ flying = << >> /\ memory # landed
  /\ flying' = memory
  /\ UNCHANGED <<mode, memory, given, disk, landed, waiting, known, denied, made, crashes, failures>>

(* It is one atomic step for whoever opens the file later.  *)
Give ==
  /\ mode = "open" /\ flying # << >> /\ given # flying
  /\ given' = flying
  /\ UNCHANGED <<mode, memory, flying, disk, landed, waiting, known, denied, made, crashes, failures>>

Sync ==
  /\ mode = "open" /\ flying # << >> /\ given = flying /\ disk # given
  /\ disk' = given
  /\ UNCHANGED <<mode, memory, flying, given, landed, waiting, known, denied, made, crashes, failures>>

Land ==
  /\ mode = "open" /\ flying # << >> /\ given = flying
  /\ Guard("Synced", disk = flying)
  /\ landed' = flying /\ flying' = << >>
  /\ UNCHANGED <<mode, memory, given, disk, waiting, known, denied, made, crashes, failures>>

(* The answer: whatever it rests on has landed. *)
Answer(w) ==
  /\ mode # "down" /\ w \in waiting
  /\ Guard("Landed", IsPrefix(w.sees, landed)) \/ (Bug("ReadsAhead") /\ w.op = "read")
  /\ waiting' = waiting \ {w}
  /\ known' = Longer(w.sees, known)
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, denied, made, crashes, failures>>

(* A commit that failed with nothing written: every change since is undone *)
(* and whoever waits is told that nothing happened.                        *)
Undo ==
  LET kept == IF Bug("KeepsLater") THEN SubSeq(memory, Len(flying) + 1, Len(memory)) ELSE << >>
  IN /\ memory' = landed \o kept
     /\ denied' = denied \cup {c.id : c \in Beyond(memory, memory')}
     /\ waiting' = {w \in waiting : IsPrefix(w.sees, memory')}
     /\ flying' = << >>

FailClean ==
  /\ mode = "open" /\ flying # << >> /\ given # flying /\ failures < MaxFailures
  /\ Undo /\ failures' = failures + 1
  /\ UNCHANGED <<mode, given, disk, landed, known, made, crashes>>

(* A sync that failed: what was given is there or not, and the next sync   *)
(* may succeed without it.  No change is taken, and nothing beyond what is *)
(* known to be on the file is shown, until the file is opened again.       *)
FailUnknown ==
  /\ mode = "open" /\ flying # << >> /\ given = flying /\ disk # given /\ failures < MaxFailures
  /\ disk' \in {disk, given} /\ failures' = failures + 1
  /\ CASE Bug("TakenForFailed") -> Undo /\ UNCHANGED <<mode, landed>>
       [] Bug("SyncedAgain")    -> landed' = flying /\ flying' = << >> /\ UNCHANGED <<mode, memory, denied, waiting>>
       [] OTHER                 -> /\ mode' = "stuck" /\ memory' = landed /\ flying' = << >>
                                   /\ waiting' = {w \in waiting : IsPrefix(w.sees, landed)} /\ UNCHANGED <<landed, denied>>
  /\ UNCHANGED <<given, known, made, crashes>>

Crash ==
  /\ mode # "down" /\ crashes < MaxCrashes
  /\ mode' = "down" /\ crashes' = crashes + 1
  /\ memory' = << >> /\ flying' = << >> /\ waiting' = {}
  /\ disk' \in {disk, given}
  /\ given' = disk'
  /\ UNCHANGED <<landed, known, denied, made, failures>>

(* Starting again.  A stuck store is opened anew only with what the disk   *)
(* has: after a failed sync the machine is restarted first.                *)
Reopen ==
  /\ mode \in {"down", "stuck"}
  /\ mode' = "open" /\ memory' = disk /\ given' = disk /\ landed' = disk /\ waiting' = {}
  /\ UNCHANGED <<flying, disk, known, denied, made, crashes, failures>>

Next == Write \/ Read \/ Begin \/ Give \/ Sync \/ Land \/ FailClean \/ FailUnknown \/ Crash \/ Reopen
        \/ \E w \in waiting : Answer(w)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

(* Contract 4.7.  Whatever was acknowledged, and whatever an answer told   *)
(* of, is on stable storage from then on.                                  *)
AcknowledgedSurvives == IsPrefix(known, disk)

(* Contract 3, ErrUnavailable: nothing happened, and nothing will.         *)
NothingUndone == \A c \in Range(disk) : c.id \notin denied

(* What is on the file is a state that the registry was in: no hole, no    *)
(* change without the one that it was made on.                             *)
Whole(s)   == \A i \in 1 .. Len(s) : s[i].after = IF i = 1 THEN 0 ELSE s[i - 1].id
Consistent == Whole(disk)

\* So is what an open store shows.
ConsistentMemory == mode = "open" => Whole(memory)

(* Contract 4.7: tokens and epochs never go back. *)
NeverBack == [][IsPrefix(disk, disk')]_vars

(* Reachable: a change that was never answered survives a crash, and one   *)
(* that was made is lost in it.                                            *)
NeverKeptUnanswered == mode = "down" => disk = known
NeverLost           == mode = "down" => Len(disk) = made

=============================================================================
