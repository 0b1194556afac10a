-------------------------- MODULE JournalContract ---------------------------
(***************************************************************************)
(* The journal a second time: what each step asks for and what it changes, *)
(* without Journal's own definitions of it, so that a slip in one of them  *)
(* is a property that fails and not only another number of states.         *)
(*                                                                         *)
(* Steps says that nothing else happens, Possible that all of it can.      *)
(***************************************************************************)
EXTENDS Journal

Ids(s) == {s[i].id : i \in DOMAIN s}

\* s is the beginning of t.
Begins(s, t) == Len(s) <= Len(t) /\ \A i \in DOMAIN s : s[i] = t[i]

Beginning ==
  /\ mode = "open" /\ waiting = {} /\ denied = {}
  /\ \A contents \in {memory, flying, given, disk, landed, known} : Len(contents) = 0
  /\ made = 0 /\ crashes = 0 /\ failures = 0

-----------------------------------------------------------------------------
(* A change follows the last one in memory, and its operation waits.       *)
Change == [id |-> made + 1, after |-> IF Len(memory) = 0 THEN 0 ELSE memory[Len(memory)].id]

MayWrite == mode = "open" /\ made < MaxChanges
Wrote ==
  /\ memory' = memory \o <<Change>> /\ made' = made + 1
  /\ waiting' = waiting \cup {[op |-> "write", sees |-> memory \o <<Change>>]}
  /\ UNCHANGED <<mode, flying, given, disk, landed, known, denied, crashes, failures>>

MayRead == mode \in {"open", "stuck"}
HasRead ==
  /\ waiting' = waiting \cup {[op |-> "read", sees |-> memory]}
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, known, denied, made, crashes, failures>>

-----------------------------------------------------------------------------
(* A commit takes what is in memory, is given to the operating system, is  *)
(* synced, and has landed then.  It is under way in an open store only.    *)
Under(way) == flying # << >> /\ way

MayBegin == mode = "open" /\ flying = << >> /\ memory # landed
Begun ==
  /\ flying' = memory
  /\ UNCHANGED <<mode, memory, given, disk, landed, waiting, known, denied, made, crashes, failures>>

MayGive == Under(given # flying)
Given ==
  /\ given' = flying
  /\ UNCHANGED <<mode, memory, flying, disk, landed, waiting, known, denied, made, crashes, failures>>

MaySync == Under(given = flying /\ disk # flying)
Synced ==
  /\ disk' = flying
  /\ UNCHANGED <<mode, memory, flying, given, landed, waiting, known, denied, made, crashes, failures>>

MayLand == Under(disk = flying)
HasLanded ==
  /\ landed' = flying /\ flying' = << >>
  /\ UNCHANGED <<mode, memory, given, disk, waiting, known, denied, made, crashes, failures>>

\* An answer tells of nothing that has not landed.
MayAnswer(w) == Begins(w.sees, landed)
Answered(w) ==
  /\ waiting' = {x \in waiting : x # w}
  /\ known' = IF Len(w.sees) > Len(known) THEN w.sees ELSE known
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, denied, made, crashes, failures>>

-----------------------------------------------------------------------------
(* Failures.  What is undone is denied to whom it was to be answered.      *)
Withdrawn ==
  /\ memory' = landed /\ flying' = << >>
  /\ waiting' = {w \in waiting : Begins(w.sees, landed)}

MayFailClean == Under(given # flying) /\ failures < MaxFailures
FailedClean ==
  /\ Withdrawn /\ denied' = denied \cup (Ids(memory) \ Ids(landed)) /\ failures' = failures + 1
  /\ UNCHANGED <<mode, given, disk, landed, known, made, crashes>>

\* What was given may be there or not, and nothing is denied.
MayFailUnknown == MaySync /\ failures < MaxFailures
FailedUnknown(there) ==
  /\ Withdrawn /\ mode' = "stuck" /\ failures' = failures + 1
  /\ disk' = IF there THEN given ELSE disk
  /\ UNCHANGED <<given, landed, known, denied, made, crashes>>

MayCrash == mode # "down" /\ crashes < MaxCrashes
Crashed(there) ==
  /\ mode' = "down" /\ crashes' = crashes + 1
  /\ memory' = << >> /\ flying' = << >> /\ waiting' = {}
  /\ disk' = (IF there THEN given ELSE disk) /\ given' = disk'
  /\ UNCHANGED <<landed, known, denied, made, failures>>

MayReopen == mode # "open"
Reopened ==
  /\ mode' = "open" /\ waiting' = {}
  /\ memory' = disk /\ given' = disk /\ landed' = disk
  /\ UNCHANGED <<flying, disk, known, denied, made, crashes, failures>>

-----------------------------------------------------------------------------

Steps ==
  [][/\ Write => MayWrite /\ Wrote
     /\ Read => MayRead /\ HasRead
     /\ Begin => MayBegin /\ Begun
     /\ Give => MayGive /\ Given
     /\ Sync => MaySync /\ Synced
     /\ Land => MayLand /\ HasLanded
     /\ \A w \in waiting : Answer(w) => MayAnswer(w) /\ Answered(w)
     /\ FailClean => MayFailClean /\ FailedClean
     /\ FailUnknown => MayFailUnknown /\ \E there \in BOOLEAN : FailedUnknown(there)
     /\ Crash => MayCrash /\ \E there \in BOOLEAN : Crashed(there)
     /\ Reopen => MayReopen /\ Reopened]_vars

Possible ==
  /\ MayWrite => ENABLED (Next /\ Wrote)
  /\ MayRead => ENABLED (Next /\ HasRead)
  /\ MayBegin => ENABLED (Next /\ Begun)
  /\ MayGive => ENABLED (Next /\ Given)
  /\ MaySync => ENABLED (Next /\ Synced)
  /\ MayLand => ENABLED (Next /\ HasLanded)
  /\ \A w \in waiting : MayAnswer(w) => ENABLED (Next /\ Answered(w))
  /\ MayFailClean => ENABLED (Next /\ FailedClean)
  /\ \A there \in BOOLEAN :
       /\ MayFailUnknown => ENABLED (Next /\ FailedUnknown(there))
       /\ MayCrash => ENABLED (Next /\ Crashed(there))
  /\ MayReopen => ENABLED (Next /\ Reopened)

(* And each says what becomes of every variable: TLC cannot evaluate one   *)
(* that does not.                                                          *)
Says(effect) == ENABLED (effect /\ vars' \in {vars'})

Determined ==
  /\ MayWrite => Says(Wrote)
  /\ MayRead => Says(HasRead)
  /\ MayBegin => Says(Begun)
  /\ MayGive => Says(Given)
  /\ MaySync => Says(Synced)
  /\ MayLand => Says(HasLanded)
  /\ \A w \in waiting : MayAnswer(w) => Says(Answered(w))
  /\ MayFailClean => Says(FailedClean)
  /\ \A there \in BOOLEAN : (MayFailUnknown => Says(FailedUnknown(there))) /\ (MayCrash => Says(Crashed(there)))
  /\ MayReopen => Says(Reopened)

(* Mistakes that Beginning and Determined must notice. *)
ReadNever == FALSE
BeginsKilled ==
  /\ mode = "down" /\ waiting = {} /\ known = << >> /\ denied = {} /\ made = 0 /\ crashes = 0 /\ failures = 0
  /\ memory = << >> /\ flying = << >> /\ given = << >> /\ disk = << >> /\ landed = << >>
=============================================================================
