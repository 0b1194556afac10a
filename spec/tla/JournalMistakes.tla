-------------------------- MODULE JournalMistakes ---------------------------
(***************************************************************************)
(* Single steps of Journal written wrong, in what they ask for or in what  *)
(* they change, which JournalContract must notice.  The manifest puts each *)
(* in the place of the right one.                                          *)
(***************************************************************************)
EXTENDS JournalContract

WritesStuck == mode # "down" /\ made < MaxChanges /\ Wrote

\* An operation that nobody will answer.
WritesUnheard ==
  /\ MayWrite /\ memory' = memory \o <<Change>> /\ made' = made + 1
  /\ UNCHANGED <<mode, flying, given, disk, landed, waiting, known, denied, crashes, failures>>

ReadsDown == HasRead

ReadsLanded ==
  /\ MayRead /\ waiting' = waiting \cup {[op |-> "read", sees |-> landed]}
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, known, denied, made, crashes, failures>>

BeginsAgain == mode = "open" /\ memory # landed /\ Begun

BeginsOne ==
  /\ MayBegin /\ flying' = SubSeq(memory, 1, Len(landed) + 1)
  /\ UNCHANGED <<mode, memory, given, disk, landed, waiting, known, denied, made, crashes, failures>>

GivesNothing == mode = "open" /\ given # flying /\ Given

GivesMemory ==
  /\ MayGive /\ given' = memory
  /\ UNCHANGED <<mode, memory, flying, disk, landed, waiting, known, denied, made, crashes, failures>>

SyncsMemory ==
  /\ MaySync /\ disk' = memory
  /\ UNCHANGED <<mode, memory, flying, given, landed, waiting, known, denied, made, crashes, failures>>

LandsMemory ==
  /\ MayLand /\ landed' = memory /\ flying' = << >>
  /\ UNCHANGED <<mode, memory, given, disk, waiting, known, denied, made, crashes, failures>>

AnswersForgotten(w) ==
  /\ MayAnswer(w) /\ waiting' = waiting \ {w}
  /\ UNCHANGED <<mode, memory, flying, given, disk, landed, known, denied, made, crashes, failures>>

\* A commit that the operating system has is taken for one that is nowhere.
FailsLate == Under(TRUE) /\ failures < MaxFailures /\ FailedClean

\* Whoever waited is answered after all.
CrashesAnswering ==
  /\ MayCrash /\ mode' = "down" /\ crashes' = crashes + 1
  /\ memory' = << >> /\ flying' = << >> /\ disk' \in {disk, given} /\ given' = disk'
  /\ UNCHANGED <<landed, waiting, known, denied, made, failures>>

ReopensOpen ==
  /\ mode' = "open" /\ waiting' = {} /\ memory' = disk /\ given' = disk /\ landed' = disk
  /\ UNCHANGED <<flying, disk, known, denied, made, crashes, failures>>

ReopensBehind ==
  /\ MayReopen /\ mode' = "open" /\ waiting' = {} /\ memory' = disk /\ given' = disk
  /\ UNCHANGED <<flying, disk, landed, known, denied, made, crashes, failures>>
=============================================================================
