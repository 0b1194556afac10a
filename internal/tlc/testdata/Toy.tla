---- MODULE Toy ----
EXTENDS Naturals, Sequences, TLC
CONSTANTS Max, Mode
VARIABLES n, log
vars == <<n, log>>
ASSUME Mode # "assume"
Init == n = (IF Mode = "initbad" THEN 9 ELSE 0)
     /\ log = << >>
Inc == n < Max /\ n' = n + 1 /\ log' = <<[kind |-> "inc", at |-> n, set |-> {1, 2}]>>
Dec == n > 0 /\ n' = n - 1 /\ UNCHANGED log
Never == n > 100 /\ n' = 0 /\ UNCHANGED log
Fail == Mode = "assert" /\ n = 2 /\ Assert(FALSE, "boom") /\ UNCHANGED vars
Under == Mode = "under" /\ n = 2 /\ n' = 0
Oops == Mode = "eval" /\ n = 2 /\ n' = log.x /\ UNCHANGED log
Dead == Mode # "deadlock" /\ UNCHANGED vars
Next == Inc \/ (Mode # "deadlock" /\ Dec) \/ Never \/ Fail \/ Under \/ Oops \/ Dead
Spec == Init /\ [][Next]_vars
FairSpec == Spec /\ WF_vars(Inc)
Small == n < 3
InitOnly == n = 0
Up == [][n' >= n]_vars
Down == [][n' <= n]_vars
Reach == <>(n = Max)
Stay == <>[](n = Max)
====
