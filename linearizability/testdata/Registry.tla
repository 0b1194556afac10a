---- MODULE Registry ----
(* A stand-in with the names of the specification, so that its line numbers do not move. *)
CONSTANTS TTL, Grace, Eps, FailureTimeout
NodeKnown(m, epoch)     == Standing(m, epoch) # "unknown"
NodeNotFailed(m, epoch) == Standing(m, epoch) # "failed"
NodeSilent(m, c)        == c >= m.seen + FailureTimeout + 2 * Eps
TokenCurrent(r, token)  == token >= r.token
NotLapsed(r, c)         == ~Lapsed(r, c)
StillLive(r, c)         == Live(r, c)
Claimable(r, c)         == r.holder # Nobody => Reclaimable(r, c)

ClaimEffect(r, ref, k, c) == GrantEffect(r, ref, k, c)
ReleaseEffect(r)          ==
  [r EXCEPT !.holder = Nobody]

Claim(n, a, k, heard) ==
  /\ TRUE
Renew(n, a, heard) ==
  /\ TRUE
MarkFailed(by, n) ==
  /\ TRUE
====
