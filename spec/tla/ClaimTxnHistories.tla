------------------------- MODULE ClaimTxnHistories --------------------------
(***************************************************************************)
(* ClaimTxnService by example: short histories of one call, written down   *)
(* state by state, without a database.  Each step of Right is one that     *)
(* clients may see.  So is each of Wrong but the last, which they may not: *)
(* whoever lets the service do more lets it do one of these.               *)
(***************************************************************************)
EXTENDS ClaimTxnService, Sequences

VARIABLES run, at  \* which history, and how far it has come

(* n1 holds both actors under token 1, for one tick more and a grace. *)
N1     == Ref("n1", 1)
Record == [holder |-> N1, token |-> 1, version |-> 1, expiry |-> 1, claim |-> 1]
With(r) ==
  [record |-> [a \in Actors |-> IF a = "a" THEN r ELSE Record],
   member |-> [n \in Nodes |-> [epoch |-> 1, status |-> "active", seen |-> 0, instance |-> 0]],
   state |-> [a \in Actors |-> 0], floor |-> [token |-> 0, version |-> 0]]
First ==
  [now |-> 0, world |-> With(Record), call |-> [k \in Calls |-> Idle], view |-> [k \in Calls |-> NoView],
   late |-> {}, answer |-> [k \in Calls |-> NoAnswer]]

Asked(op, token) ==
  [op |-> op, node |-> N1, actor |-> "a", claim |-> 0, token |-> token, to |-> N1, mode |-> "", instance |-> 0,
   leases |-> [a \in Actors |-> token], now |-> 0]
Renewal == Asked("Renew", 1)
Stale   == Asked("Renew", 2)       \* presents what nobody has
Nobodys == Asked("RenewBatch", 2)  \* renews nothing
Other   == [Asked("Claim", 0) EXCEPT !.claim = 2]  \* comes before grace is over

Renewed(c) == [Record EXCEPT !.version = 2, !.expiry = c + TTL]
Released   == [Record EXCEPT !.version = 2, !.holder = Nobody]
No(why)    == A(NoWorld)!Refused(why)
NotHeld    == No("ErrNotHeld")
Each(why)  == [reason |-> "each", of |-> [a \in Actors |-> why]]

(* What a step makes of a state: time passes, the call is made, looks,     *)
(* takes effect, is answered; what may still come, comes or gets lost.     *)
Tick(s)      == [s EXCEPT !.now = @ + 1]
Call(s, q)   == [s EXCEPT !.call["k"] = [q |-> q, since |-> s.now, done |-> NoAnswer]]
Look(s)      == [s EXCEPT !.view["k"] = s.world]
Change(s, r) == [s EXCEPT !.world = With(r)]
Effect(s, r) == [Change(s, r) EXCEPT !.call["k"].done = Done(r)]
Tell(s, a)   == [s EXCEPT !.call["k"] = Idle, !.view["k"] = NoView, !.answer["k"] = a]
Pending(s)   == [s EXCEPT !.late = {[q |-> Renewal, since |-> 0]}]
Gone(s)       == [s EXCEPT !.late = {}]

Open   == Call(First, Renewal)
Did    == Effect(Open, Renewed(0))
Seen   == Look(Call(First, Stale))
Unsure == Pending(Tell(Open, MayApply))

Right == <<
  <<First, Open, Did, Tell(Did, Done(Renewed(0)))>>,
  <<First, Open, Tell(Change(Open, Renewed(0)), Done(Renewed(0)))>>,
  <<First, Open, Tick(Open), Effect(Tick(Open), Renewed(1))>>,
  <<First, Open, Tell(Open, Nothing)>>,
  <<First, Open, Did, Tell(Did, Settled)>>,
  <<First, Open, Did, Tell(Did, MayApply)>>,
  <<First, Open, Unsure, Tick(Unsure), Gone(Change(Tick(Unsure), Renewed(0)))>>,
  <<First, Open, Unsure, Tick(Unsure), Gone(Change(Tick(Unsure), Renewed(1)))>>,
  <<First, Open, Unsure, Gone(Unsure)>>,
  <<First, Call(First, Stale), Seen, Tell(Seen, NotHeld)>>,
  <<First, Call(First, Nobodys), Look(Call(First, Nobodys)), Tell(Call(First, Nobodys), Each(NotHeld))>>
  >>

(* What comes late comes once, is what was asked for by a reading of the   *)
(* time since, and comes only if the answer said so and it had not come.   *)
(* A call has one effect by a reading of its time, and is answered with    *)
(* that, or with what it found while it was open.                          *)
Wrong == <<
  <<First, Open, Unsure, Change(Unsure, Renewed(0))>>,                   \* it may come again
  <<First, Open, Unsure, Gone(Change(Unsure, Released))>>,              \* something else comes
  <<First, Open, Unsure, Gone(Change(Unsure, Renewed(1)))>>,            \* by a reading to come
  <<First, Tick(First), Call(Tick(First), Renewal), Pending(Tell(Call(Tick(First), Renewal), MayApply))>>,
  <<First, Open, Did, Pending(Tell(Did, MayApply))>>,                    \* it has come in time
  <<First, Open, Pending(Tell(Open, Nothing))>>,                         \* it was denied,
  <<First, Open, Pending(Tell(Open, Settled))>>,                         \* or settled
  <<First, Open, Pending([Open EXCEPT !.answer["k"] = MayApply])>>,      \* the call goes on
  <<First, Pending(First)>>,                                             \* nobody asked
  <<First, Open, Did, Effect(Did, [Renewed(0) EXCEPT !.version = 3])>>,  \* a second effect
  <<First, Open, Effect(Open, Released)>>,                               \* another one
  <<First, Open, Effect(Open, Renewed(1))>>,                             \* by a reading to come,
  <<First, Tick(First), Call(Tick(First), Renewal), Effect(Call(Tick(First), Renewal), Renewed(0))>>,  \* or from before
  <<First, Call(First, Nobodys), [Call(First, Nobodys) EXCEPT !.call["k"].done = Each(NotHeld)]>>,     \* without any
  <<First, Open, Change(Open, Renewed(0))>>,                             \* one that is nobody's
  <<First, Open, Did, Tell(Did, Nothing)>>,                              \* denied
  <<First, Open, Look(Open), Tell(Open, Done(Renewed(0)))>>,             \* promised
  <<First, Call(First, Stale), Tell(Call(First, Stale), NotHeld)>>,      \* refused without a look
  <<First, Look(First)>>,                                                \* a look before the call
  <<First, Open, Tell(Open, Nothing), Call(Tell(Open, Nothing), Renewal)>>,                            \* made again
  <<First, Tick(First), [Call(Tick(First), Renewal) EXCEPT !.call["k"].since = 0]>>,                   \* began earlier
  <<First, Open, [Open EXCEPT !.call["k"].q = Stale]>>,                  \* asks for something else
  <<First, Open, [Open EXCEPT !.answer["k"] = Nothing]>>,                \* answered, and still open
  <<First, Call(First, Stale), Seen, Tell(Seen, No("ErrFenced"))>>,      \* refused for another reason,
  <<First, Open, Did, Look(Did), Tick(Look(Did)), Tick(Tick(Look(Did))), Tick(Tick(Tick(Look(Did)))),
    Tell(Tick(Tick(Tick(Look(Did)))), No("ErrLapsed"))>>,                \* after its effect,
  <<First, Open, Tick(Open), Look(Tick(Open)), Tell(Tick(Open), No("ErrLapsed"))>>,                    \* too early,
  <<First, Tick(First), Tick(Tick(First)), Call(Tick(Tick(First)), Other), Look(Call(Tick(Tick(First)), Other)),
    Tell(Call(Tick(Tick(First)), Other), No("ErrHeld"))>>,               \* or too late
  <<First, [Open EXCEPT !.call["k"].done = Done(Renewed(0))]>>,          \* done before it begins
  <<First, Open, Did, Change(Tell(Did, Done(Renewed(0))), Released)>>,   \* an answer changes the record,
  <<First, Change(Tick(First), Released)>>,                              \* or time does
  <<First, Tick(Tick(First))>>,                                          \* time passes by two
  <<First, Open, Unsure, Tick(Gone(Change(Unsure, Renewed(0))))>>,       \* or with what comes late,
  <<First, Open, Unsure, [Gone(Change(Unsure, Renewed(0))) EXCEPT !.answer["k"] = Nothing]>>,          \* or the answer changes
  <<Open>>, <<Pending(First)>>, <<Look(First)>>, <<Tell(First, Nothing)>>                              \* a wrong beginning
  >>

Histories == Right \o Wrong

HistoryInit ==
  /\ at = 1 /\ run \in DOMAIN Histories
  /\ LET s == Histories[run][1]
     IN now = s.now /\ world = s.world /\ call = s.call /\ view = s.view /\ late = s.late /\ answer = s.answer

HistoryNext ==
  /\ at < Len(Histories[run]) /\ at' = at + 1 /\ run' = run
  /\ LET s == Histories[run][at + 1]
     IN /\ now' = s.now /\ world' = s.world /\ call' = s.call
        /\ view' = s.view /\ late' = s.late /\ answer' = s.answer

HistorySpec == HistoryInit /\ [][HistoryNext]_<<vars, run, at>>

Last == run > Len(Right) /\ at' = Len(Histories[run])

Begun     == at = 1 => (Init <=> Len(Histories[run]) > 1)
Allowed   == [][at' # at /\ ~Last => Next]_<<vars, run, at>>
Forbidden == [][at' # at /\ Last => ~Next]_<<vars, run, at>>

(* Mistakes that these must notice. *)
NoneRight  == << <<First, Open, Effect(Open, Released)>> >>
NoneWrong  == << <<First, Open, Did>> >>
BeginsOpen == << <<Open, Did>> >>
=============================================================================
