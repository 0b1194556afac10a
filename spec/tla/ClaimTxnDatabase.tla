-------------------------- MODULE ClaimTxnDatabase --------------------------
(***************************************************************************)
(* A database of optimistic transactions, as FoundationDB executes them.   *)
(* It knows nothing of registries: keys have values, and the client of a   *)
(* transaction decides what to write.                                      *)
(*                                                                         *)
(* A transaction takes a read version and sees the database as of it.  Its *)
(* commit names the keys that were read, the keys that it writes, and the  *)
(* new values.  A key may be written without a new value: nothing changes, *)
(* and who has read the key conflicts.  The database applies the commit    *)
(* only if no key that was read has been written since the read version,   *)
(* and only if that version is not older than the window.                  *)
(*                                                                         *)
(* A commit that was sent is on the wire until the database processes it.  *)
(* Nobody takes it back: it stays there when its client stops waiting.     *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS Window,   \* a commit whose read version is more than this behind is rejected
          Dropped,  \* conjuncts of the conflict check left out; {} is the database
          Bugs      \* variants of database and clients; {} is the protocol

VARIABLES ver,      \* the latest commit version
          store,    \* key -> value; a key is <<kind, name>>
          written,  \* key -> version at which it was last written
          wire      \* commits sent and not yet processed

database == <<ver, store, written, wire>>

Guard(name, P) == name \in Dropped \/ P
Bug(name)      == name \in Bugs

NoValues == << >>   \* the function on no keys

-----------------------------------------------------------------------------
(* A commit w has the fields rv, reads, writes and put: a version, two     *)
(* sets of keys, and the function from keys to new values.  Other fields   *)
(* are its client's.                                                       *)

(* The conflict check compares versions, never values: a value that was    *)
(* changed and changed back is a change.                                   *)
Unwritten(w, key) ==
  IF Bug("Values") THEN key[1] # "tenure" \/ store[key] = w.saw[key] ELSE written[key] <= w.rv

Undisturbed(w, kind) == \A key \in w.reads : key[1] = kind => Unwritten(w, key)

Valid(w) ==
  /\ Guard("TenureUnwritten", Undisturbed(w, "tenure"))
  /\ Guard("TermUnwritten", Undisturbed(w, "term"))
  /\ Guard("StandingUnwritten", Undisturbed(w, "standing"))
  /\ Guard("SeenUnwritten", Undisturbed(w, "seen"))
  /\ Guard("FloorUnwritten", Undisturbed(w, "floor"))
  /\ Guard("NotTooOld", ver - w.rv <= Window)

-----------------------------------------------------------------------------

Send(w) ==
  /\ wire' = wire \cup {w}
  /\ UNCHANGED <<ver, store, written>>

\* The commit is applied, all of it at one version.
Apply(w) ==
  /\ Valid(w)
  /\ ver' = ver + 1
  /\ store' = [key \in DOMAIN store |-> IF key \in DOMAIN w.put THEN w.put[key] ELSE store[key]]
  /\ written' = [key \in DOMAIN written |-> IF key \in w.writes THEN ver + 1 ELSE written[key]]
  /\ wire' = wire \ {w}

\* The commit is not applied, now or later.  Without a conflict this is a fault.
Reject(w) ==
  /\ wire' = wire \ {w}
  /\ UNCHANGED <<ver, store, written>>

(* Versions move on without these keys: other traffic commits.             *)
OtherCommits(n) ==
  /\ ver' = ver + n
  /\ UNCHANGED <<store, written, wire>>
=============================================================================
