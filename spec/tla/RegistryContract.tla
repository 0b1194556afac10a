-------------------------- MODULE RegistryContract --------------------------
(***************************************************************************)
(* The contract a second time, in the words of its tables: what each call  *)
(* is answered in any state, and what each step asks for and changes.      *)
(* Nothing here uses the guards and effects of Registry, so that a slip in *)
(* one of them is a property that fails and not only another number of     *)
(* states.                                                                 *)
(*                                                                         *)
(* The client is adversarial: it presents any incarnation, token, claim id *)
(* and reading.  AnswerSpec asks everything in every type-correct state;   *)
(* ForgedSpec lets such a client take part among honest nodes.             *)
(***************************************************************************)
EXTENDS RegistryAnswers

-----------------------------------------------------------------------------
(* What the contract answers (section 3, and the order of refusals).       *)

Free(r)        == r.holder.id = ""
Running(r, e)  == r.holder = e.node /\ r.token = e.token
Once(version)  == IF version < MaxVersion THEN version + 1 ELSE MaxVersion

(* Nobody but the incarnation that is registered now is active. *)
Active(m, i)   == m.epoch = i.epoch /\ m.status = "active"
Failed(m, i)   == m.epoch > i.epoch \/ (m.epoch = i.epoch /\ m.status = "failed")

Membership(m, i, answer) ==
  IF Active(m, i) THEN answer ELSE IF Failed(m, i) THEN Refused("ErrNodeFailed") ELSE Refused("ErrNodeUnknown")

Tenure(r, e, answer) ==
  IF r.token > e.token THEN Refused("ErrFenced") ELSE IF Running(r, e) THEN answer ELSE Refused("ErrNotHeld")

Lease(i, r, k, c) ==
  Ok([holder |-> i, token |-> r.token + 1, version |-> Once(r.version), expiry |-> c + TTL, claim |-> k], NoMember)

Silent == Ok(NoRecord, NoMember)

ClaimAnswers ==
  \A e \in Claims :
    LET r == record[e.actor]
    IN Answers(e) = {
         IF r.holder = e.node /\ r.claim = e.claim /\ e.now - r.expiry < Grace THEN Ok(r, NoMember)
         ELSE Membership(member[e.node.id], e.node,
                IF Free(r) \/ e.now - r.expiry >= Grace + 2 * Eps THEN Lease(e.node, r, e.claim, e.now)
                ELSE Refused("ErrHeld"))}

RenewAnswers ==
  \A e \in Renewals :
    LET r == record[e.actor]
        s == [r EXCEPT !.version = Once(@), !.expiry = IF e.now + TTL > @ THEN e.now + TTL ELSE @]
    IN Answers(e) = {Tenure(r, e, IF e.now - r.expiry < Grace THEN Ok(s, NoMember) ELSE Refused("ErrLapsed"))}

ReleaseAnswers ==
  \A e \in Releases :
    LET r    == record[e.actor]
        over == Free(r) /\ r.version > 0 /\ r.token = e.token
    IN /\ Answers(e) = CASE over /\ e.node = last[e.actor] -> {Silent}
                         [] over /\ e.node # last[e.actor] -> {Silent, Refused("ErrNotHeld")}
                         [] OTHER                          -> {Tenure(r, e, Silent)}
       /\ over => RecordAfter(e) = r
       /\ Running(r, e) /\ ~Free(r) => RecordAfter(e) = [r EXCEPT !.version = Once(@), !.holder = Nobody]

TransferAnswers ==
  \A e \in Transfers :
    LET r == record[e.actor]
    IN Answers(e) = {
         Membership(member[e.to.id], e.to,
           Tenure(r, e, IF e.now < r.expiry THEN Lease(e.to, r, 0, e.now) ELSE Refused("ErrLapsed")))}

ReadAnswers ==
  /\ \A e \in Lookups : Answers(e) = {Ok(Answer(e.actor), NoMember)} /\ Answer(e.actor) = record[e.actor]
  /\ \A e \in NodeReads : Answers(e) = {Ok(NoRecord, member[e.node.id])}

ValidateAnswers ==
  \A e \in Validations :
    LET r == record[e.actor]
    IN Answers(e) = {IF r.token > e.token THEN Refused("ErrFenced")
                     ELSE IF r.token = e.token /\ ~Free(r) THEN Silent ELSE Refused("ErrNotHeld")}

RegisterNodeAnswers ==
  \A e \in Registrations :
    LET m == member[e.node.id]
    IN Answers(e) = {
         IF m.status # "active" \/ (e.mode = "supersede" /\ (e.instance = 0 \/ e.instance # m.instance))
           THEN Ok(NoRecord, [epoch |-> m.epoch + 1, status |-> "active", seen |-> e.now, instance |-> e.instance])
         ELSE IF e.instance # 0 /\ e.instance = m.instance THEN Ok(NoRecord, m)
         ELSE Refused("ErrNodeExists")}

HeartbeatAnswers ==
  \A e \in Heartbeats :
    LET m == member[e.node.id]
    IN /\ Answers(e) = {Membership(m, e.node, Silent)}
       /\ Active(m, e.node) => MemberAfter(e) = [m EXCEPT !.seen = e.now]

MarkFailedAnswers ==
  \A e \in Failures :
    LET m == member[e.node.id]
        silent == e.now - m.seen >= FailureTimeout + 2 * Eps
    IN /\ Answers(e) = {IF Failed(m, e.node) THEN Silent
                        ELSE Membership(m, e.node, IF silent THEN Silent ELSE Refused("ErrNodeAlive"))}
       /\ Failed(m, e.node) => MemberAfter(e) = m
       /\ Active(m, e.node) /\ silent => MemberAfter(e) = [m EXCEPT !.status = "failed"]

DeregisterNodeAnswers ==
  \A e \in Departures :
    LET m == member[e.node.id]
    IN IF m.epoch = e.node.epoch /\ m.status \in {"active", "failed"}
       THEN Answers(e) = {Silent} /\ MemberAfter(e) = [m EXCEPT !.status = "left"]
       ELSE Answers(e) = {Refused("ErrNodeUnknown")}

(* The guards that the steps of Registry ask say the same as the answers.  *)
GuardsAnswer ==
  LET accepted(e) == Refusal(e) = ""
  IN /\ \A e \in Claims : ~ClaimRepeats(record[e.actor], e.node, e.claim, e.now) =>
            (ClaimGuard(record[e.actor], member[e.node.id], e.node, e.now) <=> accepted(e))
     /\ \A e \in Renewals : RenewGuard(record[e.actor], e.node, e.token, e.now) <=> accepted(e)
     /\ \A e \in Releases : ~ReleaseRepeats(record[e.actor], e.token) =>
            (ReleaseGuard(record[e.actor], e.node, e.token) <=> accepted(e))
     /\ \A e \in Transfers :
            TransferGuard(record[e.actor], e.node, e.token, member[e.to.id], e.to, e.now) <=> accepted(e)
     /\ \A e \in Validations : ValidateGuard(record[e.actor], e.token) <=> accepted(e)

(* All that can be asked, and each state that it can be asked in, a second *)
(* time: where less is asked, less is found.                               *)
AllAsked ==
  LET anybody == {[id |-> n, epoch |-> k] : n \in Nodes, k \in 1 .. MaxEpoch + 1}
      tokens  == 1 .. MaxToken + 1
      clocks  == -Eps .. Eps
  IN /\ {"Claim"} \X Actors \X anybody \X ClaimIDs \X clocks
           \subseteq {<<e.op, e.actor, e.node, e.claim, e.now>> : e \in Claims}
     /\ {"Renew"} \X Actors \X anybody \X tokens \X clocks
           \subseteq {<<e.op, e.actor, e.node, e.token, e.now>> : e \in Renewals}
     /\ {"Release"} \X Actors \X anybody \X tokens \subseteq {<<e.op, e.actor, e.node, e.token>> : e \in Releases}
     /\ {"Transfer"} \X Actors \X anybody \X tokens \X anybody \X clocks
           \subseteq {<<e.op, e.actor, e.node, e.token, e.to, e.now>> : e \in Transfers}
     /\ {"Lookup"} \X Actors \subseteq {<<e.op, e.actor>> : e \in Lookups}
     /\ {"Validate"} \X Actors \X tokens \subseteq {<<e.op, e.actor, e.token>> : e \in Validations}
     /\ {"RegisterNode"} \X Nodes \X {"if-absent", "supersede"} \X Instances \X clocks
           \subseteq {<<e.op, e.node.id, e.mode, e.instance, e.now>> : e \in Registrations}
     /\ {"Heartbeat"} \X anybody \X clocks \subseteq {<<e.op, e.node, e.now>> : e \in Heartbeats}
     /\ {"MarkFailed"} \X anybody \X clocks \subseteq {<<e.op, e.node, e.now>> : e \in Failures}
     /\ {"DeregisterNode"} \X anybody \subseteq {<<e.op, e.node>> : e \in Departures}
     /\ {"GetNode"} \X Nodes \subseteq {<<e.op, e.node.id>> : e \in NodeReads}
     /\ Renewals \cup Releases \cup Transfers \subseteq UnderTenure
     /\ Claims \cup UnderTenure \subseteq OnActors
     /\ OnActors \cup Lookups \cup Validations \cup Registrations \cup Heartbeats \cup Failures
           \cup Departures \cup NodeReads \subseteq Calls

AnyState ==
  LET none == [holder |-> Nobody, token |-> 0, version |-> 0, expiry |-> -(3 * Eps + Grace), claim |-> 0]
      late == -(3 * Eps + FailureTimeout)
      i    == CHOOSE n \in Nodes : TRUE
  IN /\ clock = [n \in Nodes |-> 0] /\ proc = [n \in Nodes |-> 1] /\ writes = {}
     /\ lease = [n \in Nodes |-> [a \in Actors |-> [epoch |-> 0, token |-> 0, until |-> -Eps]]]
     /\ tenure = [a \in Actors |-> [num |-> 0, open |-> FALSE]]
     /\ record \in [Actors -> {none} \cup
                     [holder : {Nobody} \cup {[id |-> n, epoch |-> k] : n \in Nodes, k \in 1 .. MaxEpoch},
                      token : 1 .. MaxToken, version : {1}, expiry : none.expiry .. TTL, claim : {0} \cup ClaimIDs]]
     /\ \E m \in {[epoch |-> 0, status |-> "none", seen |-> late, instance |-> 0]} \cup
                 [epoch : 1 .. MaxEpoch, status : {"active", "failed", "left"}, seen : late .. Eps, instance : {0} \cup Instances] :
          /\ record = [a \in Actors |-> none] \/ (m.seen = late /\ m.instance = 0)
          /\ member = [[n \in Nodes |-> [epoch |-> 1, status |-> "active", seen |-> late, instance |-> 0]] EXCEPT ![i] = m]
     /\ last = [a \in Actors |->
                  CASE record[a].token = 0       -> Nobody
                    [] record[a].holder # Nobody -> record[a].holder
                    [] OTHER                     -> [id |-> i, epoch |-> 1]]

AnySpec       == AnyState /\ [][FALSE]_allVars
AskedAnywhere == AnswerInit

-----------------------------------------------------------------------------
(* What each step asks for and changes.  Sections 2 and 3.                 *)

SameRecords(A) == \A a \in Actors \ A : record'[a] = record[a] /\ tenure'[a] = tenure[a]
SameMembers(N) == \A n \in Nodes \ N : member'[n] = member[n]
SameLeases(P)  == \A n \in Nodes, a \in Actors : <<n, a>> \notin P => lease'[n][a] = lease[n][a]

AtLeast(x, floor) == IF x < floor THEN floor ELSE x
InHand(epoch, r)  == [epoch |-> epoch, token |-> r.token, until |-> AtLeast(r.expiry, -Eps)]
Silenced(l)       == [l EXCEPT !.until = -Eps]
Begins(a)         == tenure'[a] = [num |-> tenure[a].num + 1, open |-> TRUE]

(* An honest node presents the lease in its hand. *)
Holds(n, a) == record[a].holder = [id |-> n, epoch |-> lease[n][a].epoch] /\ record[a].token = lease[n][a].token
            /\ lease[n][a].token > 0

MayClaim(n, a, k) ==
  LET r == record[a]
  IN /\ proc[n] > 0 /\ r.token < MaxToken
     /\ member[n].status = "active" /\ member[n].epoch = proc[n]
     /\ Free(r) \/ clock[n] - r.expiry >= Grace + 2 * Eps

MayRenew(n, a)   == proc[n] # -1 /\ Holds(n, a) /\ clock[n] - record[a].expiry < Grace
MayRelease(n, a) == proc[n] # -1 /\ Holds(n, a)
MayTransfer(n, a, m, heard) ==
  /\ proc[n] # -1 /\ Holds(n, a) /\ clock[n] < record[a].expiry /\ record[a].token < MaxToken
  /\ member[m].status = "active" /\ (heard => proc[m] = member[m].epoch)
IsNamed(n, a) == proc[n] > 0 /\ record[a].holder = [id |-> n, epoch |-> proc[n]]

ClaimSteps ==
  [][\A n \in Nodes, a \in Actors, k \in ClaimIDs, heard \in BOOLEAN : Claim(n, a, k, heard) =>
       /\ MayClaim(n, a, k)
       /\ record'[a] = Lease([id |-> n, epoch |-> proc[n]], record[a], k, clock[n]).record
       /\ Begins(a)
       /\ lease'[n][a] = IF heard THEN InHand(proc[n], record'[a]) ELSE lease[n][a]
       /\ SameRecords({a}) /\ SameLeases({<<n, a>>}) /\ UNCHANGED <<clock, proc, member, writes>>]_vars

RenewSteps ==
  [][\A n \in Nodes, a \in Actors, heard \in BOOLEAN : Renew(n, a, heard) =>
       /\ MayRenew(n, a)
       /\ record'[a] = [record[a] EXCEPT !.version = Once(@), !.expiry = AtLeast(@, clock[n] + TTL)]
       /\ lease'[n][a] = IF heard THEN InHand(lease[n][a].epoch, record'[a]) ELSE lease[n][a]
       /\ SameRecords({a}) /\ SameLeases({<<n, a>>}) /\ UNCHANGED <<clock, proc, member, tenure, writes>>]_vars

ReleaseSteps ==
  [][\A n \in Nodes, a \in Actors : Release(n, a) =>
       /\ MayRelease(n, a)
       /\ record'[a] = [record[a] EXCEPT !.version = Once(@), !.holder = Nobody]
       /\ tenure'[a] = [tenure[a] EXCEPT !.open = FALSE]
       /\ lease'[n][a] = Silenced(lease[n][a])
       /\ SameRecords({a}) /\ SameLeases({<<n, a>>}) /\ UNCHANGED <<clock, proc, member, writes>>]_vars

TransferSteps ==
  [][\A n, m \in Nodes, a \in Actors, heard \in BOOLEAN : Transfer(n, a, m, heard) =>
       /\ MayTransfer(n, a, m, heard)
       /\ record'[a] = Lease([id |-> m, epoch |-> member[m].epoch], record[a], 0, clock[n]).record
       /\ Begins(a)
       /\ n # m \/ ~heard => lease'[n][a] = Silenced(lease[n][a])
       /\ heard => lease'[m][a] = InHand(member[m].epoch, record'[a])
       /\ SameRecords({a}) /\ SameLeases({<<n, a>>} \cup IF heard THEN {<<m, a>>} ELSE {})
       /\ UNCHANGED <<clock, proc, member, writes>>]_vars

(* Nobody is robbed by a purge, and no number falls.                       *)
MayPurge(by, a, t, v) ==
  LET r == record[a]
      m == member[r.holder.id]
  IN /\ proc[by] # -1 /\ t >= r.token /\ v >= r.version
     /\ Free(r) \/ (clock[by] - r.expiry >= Grace + 2 * Eps /\ ~(m.epoch = r.holder.epoch /\ m.status = "active"))

PurgeSteps ==
  [][\A by \in Nodes, a \in Actors, t \in 0 .. MaxToken, v \in 0 .. MaxVersion : Purge(by, a, t, v) =>
       /\ MayPurge(by, a, t, v)
       /\ record'[a] = [holder |-> Nobody, token |-> t, version |-> v, expiry |-> -(3 * Eps + Grace), claim |-> 0]
       /\ tenure'[a] = [num |-> AtLeast(tenure[a].num, t), open |-> FALSE]
       /\ SameRecords({a}) /\ UNCHANGED <<clock, proc, member, lease, writes>>]_vars

(* A read, or the repetition of a claim, tells its holder of the tenure.   *)
ToldOfTenure(n, a) ==
  /\ IsNamed(n, a)
  /\ lease'[n][a] = InHand(proc[n], record[a])
  /\ SameLeases({<<n, a>>}) /\ UNCHANGED <<clock, proc, member, record, tenure, writes>>

ToldSteps ==
  [][/\ \A n \in Nodes, a \in Actors : Lookup(n, a) => ToldOfTenure(n, a)
     /\ \A n \in Nodes, a \in Actors, k \in ClaimIDs : ClaimRepeat(n, a, k) =>
          ToldOfTenure(n, a) /\ record[a].claim = k /\ clock[n] - record[a].expiry < Grace]_vars

MayRegister(n, mode, i) ==
  /\ proc[n] # -1 /\ member[n].epoch < MaxEpoch
  /\ member[n].status # "active" \/ (mode = "supersede" /\ (i = 0 \/ i # member[n].instance))
MayRegisterAgain(n, i) == proc[n] # -1 /\ member[n].status = "active" /\ i # 0 /\ i = member[n].instance
MayBeat(n)       == proc[n] > 0 /\ member[n].epoch = proc[n] /\ member[n].status = "active"
MayFail(by, n)   == proc[by] # -1 /\ member[n].status = "active" /\ clock[by] - member[n].seen >= FailureTimeout + 2 * Eps
MayLeave(n)      == proc[n] > 0 /\ member[n].epoch = proc[n] /\ member[n].status \in {"active", "failed"}

MemberOnly(n) == SameMembers({n}) /\ UNCHANGED <<clock, record, lease, tenure, writes>>

MemberSteps ==
  [][/\ \A n \in Nodes, mode \in Modes, i \in Instances, heard \in BOOLEAN : RegisterNode(n, mode, i, heard) =>
          /\ MayRegister(n, mode, i)
          /\ member'[n] = [epoch |-> member[n].epoch + 1, status |-> "active", seen |-> clock[n], instance |-> i]
          /\ proc' = [proc EXCEPT ![n] = IF heard THEN member[n].epoch + 1 ELSE @]
          /\ MemberOnly(n)
     /\ \A n \in Nodes, i \in Instances : RegisterRepeat(n, i) =>
          /\ MayRegisterAgain(n, i)
          /\ proc' = [proc EXCEPT ![n] = member[n].epoch] /\ MemberOnly(n) /\ UNCHANGED member
     /\ \A n \in Nodes : Heartbeat(n) =>
          MayBeat(n) /\ member'[n] = [member[n] EXCEPT !.seen = clock[n]] /\ MemberOnly(n) /\ UNCHANGED proc
     /\ \A by, n \in Nodes : MarkFailed(by, n) =>
          MayFail(by, n) /\ member'[n] = [member[n] EXCEPT !.status = "failed"] /\ MemberOnly(n) /\ UNCHANGED proc
     /\ \A n \in Nodes : DeregisterNode(n) =>
          MayLeave(n) /\ member'[n] = [member[n] EXCEPT !.status = "left"] /\ MemberOnly(n) /\ UNCHANGED proc]_vars

Serves(n, a) == clock[n] < lease[n][a].until

MayWrite(n, a) ==
  LET w == [actor |-> a, token |-> lease[n][a].token, num |-> tenure[a].num]
  IN Serves(n, a) /\ w \notin writes /\ Cardinality(writes) < MaxWrites
MayLand(w)  == w \in writes /\ ~Free(record[w.actor]) /\ record[w.actor].token = w.token
MayBounce(w) == w \in writes /\ ~MayLand(w)

WritesOnly == UNCHANGED <<clock, proc, member, record, lease, tenure>>

WriteSteps ==
  [][/\ \A n \in Nodes, a \in Actors : BeginWrite(n, a) =>
          /\ MayWrite(n, a) /\ WritesOnly
          /\ writes' = writes \cup {[actor |-> a, token |-> lease[n][a].token, num |-> tenure[a].num]}
     /\ \A w \in Writes : LandWrite(w) => MayLand(w) /\ writes' = writes \ {w} /\ WritesOnly
     /\ \A w \in Writes : RefuseWrite(w) => MayBounce(w) /\ writes' = writes \ {w} /\ WritesOnly]_vars

(* Time, clocks and processes.  What is relative to the present falls by   *)
(* one, down to where no reading can tell two values apart.                *)
MayCrash(n) == proc[n] > 0 /\ member[n].epoch < MaxEpoch

WorldSteps ==
  [][/\ Tick =>
          /\ \A a \in Actors : record'[a] = [record[a] EXCEPT !.expiry = AtLeast(@ - 1, -(Eps + Grace + 2 * Eps))]
          /\ \A n \in Nodes : member'[n] = [member[n] EXCEPT !.seen = AtLeast(@ - 1, -(3 * Eps + FailureTimeout))]
          /\ \A n \in Nodes, a \in Actors : lease'[n][a] = [lease[n][a] EXCEPT !.until = AtLeast(@ - 1, -Eps)]
          /\ UNCHANGED <<clock, proc, tenure, writes>>
     /\ \A n \in Nodes, c \in Readings : Drift(n, c) =>
          c # clock[n] /\ clock' = [clock EXCEPT ![n] = c] /\ UNCHANGED <<proc, member, record, lease, tenure, writes>>
     /\ \A n \in Nodes : Crash(n) =>
          /\ MayCrash(n) /\ proc' = [proc EXCEPT ![n] = -1]
          /\ \A a \in Actors : lease'[n][a] = [epoch |-> 0, token |-> 0, until |-> -Eps]
          /\ SameLeases({n} \X Actors) /\ UNCHANGED <<clock, member, record, tenure, writes>>
     /\ \A n \in Nodes : Restart(n) =>
          /\ proc[n] = -1 /\ proc' = [proc EXCEPT ![n] = 0]
          /\ UNCHANGED <<clock, member, record, lease, tenure, writes>>]_vars

(* Where everything begins: whoever has joined is registered and runs,     *)
(* nobody holds or has anything, and all that is relative to the present   *)
(* is as long ago as a guard can tell.                                     *)
Beginning ==
  /\ \A n \in Nodes :
       /\ clock[n] = 0
       /\ n \in Joined => proc[n] = 1 /\ member[n].epoch = 1 /\ member[n].status = "active"
       /\ n \notin Joined => proc[n] = 0 /\ member[n].epoch = 0 /\ member[n].status = "none"
       /\ member[n].instance = 0 /\ member[n].seen = -(3 * Eps + FailureTimeout)
       /\ \A a \in Actors : lease[n][a] = [epoch |-> 0, token |-> 0, until |-> -Eps]
  /\ \A a \in Actors :
       /\ record[a] = [holder |-> Nobody, token |-> 0, version |-> 0, expiry |-> -(3 * Eps + Grace), claim |-> 0]
       /\ Free(record[a]) /\ tenure[a] = [num |-> 0, open |-> FALSE]
  /\ writes = {}

(* Nothing that the contract allows is missing: what may happen, can.  A   *)
(* step that changes nothing is none for the properties above, so here it  *)
(* is said that each changes something, or what it does where it may find *)
(* everything as it should be.                                             *)
Takes(act) == act \in Acts

Possible ==
  /\ \A n \in Nodes, a \in Actors, heard \in BOOLEAN :
       /\ \A k \in ClaimIDs :
            LET again == record[a].holder = [id |-> n, epoch |-> proc[n]] /\ record[a].claim = k
                         /\ clock[n] - record[a].expiry < Grace
            IN /\ Takes("Claim") /\ MayClaim(n, a, k) => ENABLED <<Claim(n, a, k, heard)>>_vars
               /\ Takes("ClaimRepeat") /\ proc[n] > 0 /\ again =>
                    ENABLED (ClaimRepeat(n, a, k) /\ lease'[n][a] = InHand(proc[n], record[a]))
       /\ Takes("Renew") /\ MayRenew(n, a) => ENABLED (Renew(n, a, heard) /\ record'[a].expiry >= clock[n] + TTL)
       /\ Takes("Release") /\ MayRelease(n, a) => ENABLED <<Release(n, a)>>_vars
       /\ \A m \in Nodes : Takes("Transfer") /\ MayTransfer(n, a, m, heard) => ENABLED <<Transfer(n, a, m, heard)>>_vars
       /\ Takes("Lookup") /\ IsNamed(n, a) => ENABLED (Lookup(n, a) /\ lease'[n][a] = InHand(proc[n], record[a]))
       /\ \A t \in 0 .. MaxToken, v \in 0 .. MaxVersion :
            Takes("Purge") /\ MayPurge(n, a, t, v) =>
              ENABLED (Purge(n, a, t, v) /\ record'[a].token = t /\ record'[a].version = v)
       /\ Takes("BeginWrite") /\ MayWrite(n, a) => ENABLED <<BeginWrite(n, a)>>_vars
  /\ \A n \in Nodes, heard \in BOOLEAN, i \in Instances :
       /\ \A mode \in Modes : Takes("RegisterNode") /\ MayRegister(n, mode, i) => ENABLED <<RegisterNode(n, mode, i, heard)>>_vars
       /\ Takes("RegisterRepeat") /\ MayRegisterAgain(n, i) => ENABLED (RegisterRepeat(n, i) /\ proc'[n] = member[n].epoch)
  /\ \A n \in Nodes :
       /\ Takes("Heartbeat") /\ MayBeat(n) => ENABLED (Heartbeat(n) /\ member'[n].seen = clock[n])
       /\ \A by \in Nodes : Takes("MarkFailed") /\ MayFail(by, n) => ENABLED <<MarkFailed(by, n)>>_vars
       /\ Takes("DeregisterNode") /\ MayLeave(n) => ENABLED <<DeregisterNode(n)>>_vars
       /\ \A c \in -Eps .. Eps : Takes("Drift") /\ c # clock[n] => ENABLED <<Drift(n, c)>>_vars
       /\ Takes("Crash") /\ MayCrash(n) => ENABLED <<Crash(n)>>_vars
       /\ Takes("Restart") /\ proc[n] = -1 => ENABLED <<Restart(n)>>_vars
  /\ \A w \in writes :
       /\ Takes("LandWrite") /\ MayLand(w) => ENABLED <<LandWrite(w)>>_vars
       /\ Takes("RefuseWrite") /\ MayBounce(w) => ENABLED <<RefuseWrite(w)>>_vars
  /\ Takes("Tick") => ENABLED Tick

(* Every one of these steps is one of Next's.                              *)
Complete ==
  /\ \A n \in Nodes, a \in Actors, heard \in BOOLEAN :
       /\ \A k \in ClaimIDs :
            /\ ENABLED Claim(n, a, k, heard) => ENABLED (Claim(n, a, k, heard) /\ Next)
            /\ ENABLED ClaimRepeat(n, a, k) => ENABLED (ClaimRepeat(n, a, k) /\ Next)
       /\ ENABLED Renew(n, a, heard) => ENABLED (Renew(n, a, heard) /\ Next)
       /\ ENABLED Release(n, a) => ENABLED (Release(n, a) /\ Next)
       /\ \A m \in Nodes : ENABLED Transfer(n, a, m, heard) => ENABLED (Transfer(n, a, m, heard) /\ Next)
       /\ ENABLED Lookup(n, a) => ENABLED (Lookup(n, a) /\ Next)
       /\ \A t \in 0 .. MaxToken, v \in 0 .. MaxVersion : ENABLED Purge(n, a, t, v) => ENABLED (Purge(n, a, t, v) /\ Next)
       /\ ENABLED BeginWrite(n, a) => ENABLED (BeginWrite(n, a) /\ Next)
  /\ \A n \in Nodes, i \in Instances :
       /\ \A mode \in {"if-absent", "supersede"}, heard \in BOOLEAN :
            ENABLED RegisterNode(n, mode, i, heard) => ENABLED (RegisterNode(n, mode, i, heard) /\ Next)
       /\ ENABLED RegisterRepeat(n, i) => ENABLED (RegisterRepeat(n, i) /\ Next)
  /\ \A n \in Nodes :
       /\ ENABLED Heartbeat(n) => ENABLED (Heartbeat(n) /\ Next)
       /\ \A by \in Nodes : ENABLED MarkFailed(by, n) => ENABLED (MarkFailed(by, n) /\ Next)
       /\ ENABLED DeregisterNode(n) => ENABLED (DeregisterNode(n) /\ Next)
       /\ \A c \in -Eps .. Eps : ENABLED Drift(n, c) => ENABLED (Drift(n, c) /\ Next)
       /\ ENABLED Crash(n) => ENABLED (Crash(n) /\ Next)
       /\ ENABLED Restart(n) => ENABLED (Restart(n) /\ Next)
  /\ \A w \in writes :
       /\ ENABLED LandWrite(w) => ENABLED (LandWrite(w) /\ Next)
       /\ ENABLED RefuseWrite(w) => ENABLED (RefuseWrite(w) /\ Next)
  /\ ENABLED Tick => ENABLED (Tick /\ Next)

-----------------------------------------------------------------------------
(* The adversarial client takes part.  What it presents is refused unless  *)
(* it is the running tenure; who presents that by another clock renews it. *)
(* A release or hand-over of the running tenure is its holder's alone: a   *)
(* lease is its holder's to give away, as far as the registry can know.    *)
Forge(e) ==
  LET r == record[e.actor]
  IN /\ Refusal(e) = ""
     /\ e.op \in {"Release", "Transfer"} => r.token # e.token \/ r.holder # e.node
     /\ record' = [record EXCEPT ![e.actor] = RecordAfter(e)]
     /\ record'[e.actor].token <= MaxToken
     /\ tenure' = [tenure EXCEPT ![e.actor] =
                     [num |-> @.num + record'[e.actor].token - r.token, open |-> record'[e.actor].holder # Nobody]]
     /\ UNCHANGED <<clock, proc, member, lease, writes>>

ByClock == {e \in OnActors : \E n \in Nodes : e.now = clock[n]}

ContractInit == Init /\ LastInit
ContractNext == Next /\ LastNext
ForgedNext   == (Next \/ \E e \in ByClock : Forge(e)) /\ LastNext

ContractSpec == ContractInit /\ [][ContractNext]_allVars
ForgedSpec   == ContractInit /\ [][ForgedNext]_allVars

(* Who presents what is not the running tenure changes nothing. *)
OnlyTenureAccepted ==
  \A e \in UnderTenure :
    Refusal(e) = "" => Running(record[e.actor], e) \/ RecordAfter(e) = record[e.actor]

=============================================================================
