// Package broken has clients that keep their leases wrongly, each with one
// mistake that was made in public. The suite must convict every one of them, by a
// rule that says what is wrong.
package broken

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/plain"
)

// Variant is a client with a mistake.
type Variant struct {
	ID       string // C1, C2, …
	Title    string // what is wrong
	Incident string // where it was seen, or what it is like
	Breaks   []conformance.RuleID
	Policy   plain.Policy
}

// Factory makes the clients.
func (v Variant) Factory() client.Factory { return plain.New(v.Policy) }

const ttl = registry.DefaultTTL

// All returns the catalogue.
func All() []Variant {
	late := []conformance.RuleID{conformance.ServesInTime}
	return []Variant{
		{"C1", "renewals fail, and it serves on", "kubernetes/kubernetes#23731: the leader that lost its lease is never told; F10", late, plain.Policy{NoDeadline: true}},
		{"C2", "the deadline is counted from the answer", "the message's travel is taken for time that is left; KeeperProof's DeadlineAfterAnswer", late,
			plain.Policy{Deadline: func(_, answered registry.Instant, _ registry.Lease) registry.Instant { return answered.Add(ttl) }}},
		{"C3", "a renewal without an answer counts as renewed", "the specification's DeadlineRestarted: a timeout is taken for success", late,
			plain.Policy{Failed: func(_, now registry.Instant) registry.Instant { return now.Add(ttl) }}},
		{"C4", "the deadline ignores the expiry: a repeated claim is answered with an older tenure", "the specification's DeadlineByReading", late,
			plain.Policy{Deadline: func(sent, _ registry.Instant, _ registry.Lease) registry.Instant { return sent.Add(ttl) }}},
		{"C5", "a renewal has no timeout, and the work waits for it", "ray-project/enhancements#65: the call hangs and the deadline is not looked at", late, plain.Policy{Unbounded: true}},
		{"C6", "it stops after six failed renewals, however long they take", "noobaa/noobaa-core#9765: the request's timeout is not part of the renew deadline", late, plain.Policy{Failures: 6}},
		{"C7", "it looks at its deadline twice in a lease", "a check that runs with a slow ticker", late, plain.Policy{CoarseTicks: ttl/2 + time.Second}},
		{"C8", "it takes its time to stop", "cilium/cilium#42920: a stop hook runs on past the deadline", late, plain.Policy{Drains: ttl / 5}},
		{"C9", "it takes the grace for its own", "the grace is the renewal's, not the work's", late,
			plain.Policy{Deadline: func(_, _ registry.Instant, l registry.Lease) registry.Instant {
				return l.Expiry.Add(registry.DefaultGrace)
			}}},
		{"C10", "it believes in a lease twice as long as the registry's", "two configurations of one TTL", late,
			plain.Policy{Deadline: func(sent, _ registry.Instant, _ registry.Lease) registry.Instant { return sent.Add(2 * ttl) }}},
		{"C11", "it serves under an answer that came after the lease's end", "the specification without StillTime", late, plain.Policy{StartsLate: true}},
		{"C12", "it renews too late to try twice", "a renewal at the end of the lease", []conformance.RuleID{conformance.ClientRetries, conformance.ClientKeeps}, plain.Policy{RenewAfter: ttl * 9 / 10}},
		{"C13", "the renewal task ends with its first error", "kubernetes/client-go#1155, redisson/redisson#3194: after one failed update nothing renews", []conformance.RuleID{conformance.ClientRetries}, plain.Policy{RenewalDies: true}},
		{"C14", "it never renews", "redisson/redisson#5698: the watchdog does not run", []conformance.RuleID{conformance.ClientKeeps}, plain.Policy{NeverRenews: true}},
		{"C15", "a refused renewal is only logged", "IBM/etcd-java#49: the lease is expired, and the leader is not told", []conformance.RuleID{conformance.ServesNotEnded}, plain.Policy{IgnoresRefusals: true}},
		{"C16", "it serves when it has asked", "optimistic start", []conformance.RuleID{conformance.ServesGranted}, plain.Policy{ServesEarly: true}},
		{"C17", "a claim without an answer counts as granted", "cagriekin/charts#327: a campaign returns and there is no lease", []conformance.RuleID{conformance.ServesGranted, conformance.ServesInTime, conformance.ServesNotEnded}, plain.Policy{AssumesGranted: true}},
		{"C18", "a later tenure is served under the first token", "a token is read once and cached", []conformance.RuleID{conformance.ServesNotEnded}, plain.Policy{KeepsFirstToken: true}},
		{"C19", "a process takes over the lease of its name's former process", "etcd-io/etcd#7166: a restarted process resumes a session", []conformance.RuleID{conformance.ServesGranted}, plain.Policy{AdoptsByName: true}},
		{"C20", "it releases before it stops", "kubernetes/client-go#728: ReleaseOnCancel while the guarded work runs", []conformance.RuleID{conformance.StopsFirst}, plain.Policy{ReleasesFirst: true}},
		{"C21", "it hands over before it drains", "the hand-over of kubernetes/kubernetes#71490, done in the wrong order", []conformance.RuleID{conformance.StopsFirst}, plain.Policy{MovesFirst: true}},
		{"C22", "it serves on when a hand-over was not answered", "an unknown outcome is taken for a failure", []conformance.RuleID{conformance.StopsFirst}, plain.Policy{ServesAfterMove: true}},
		{"C23", "it gives up without a release", "fabric8io/kubernetes-client#4318: others wait for the lease to run out", []conformance.RuleID{conformance.ClientGivesUp}, plain.Policy{NeverReleases: true}},
		{"C24", "giving up has no end but success", "kubernetes/kubernetes#112278: the release does not take the caller's context", []conformance.RuleID{conformance.ClientGivesUp}, plain.Policy{DropWaits: true}},
		{"C25", "what it was granted and does not serve is renewed for ever", "redisson/redisson#7272, sensu/sensu-go#1163: the keep-alive outlives the lock", []conformance.RuleID{conformance.ClientNoLeak}, plain.Policy{RenewsWhatItHolds: true, Forgets: true}},
		{"C26", "it holds and does not serve", "redisson/redisson#1626: the watchdog renews a lock that no thread has", []conformance.RuleID{conformance.ClientNoLeak}, plain.Policy{Idle: true}},
		{"C27", "what was lost once is not claimed again", "kubernetes/client-go#1155: the election ends with the first loss", []conformance.RuleID{conformance.ClientServes}, plain.Policy{NeverAgain: true}},
		{"C28", "a lapsed lease is renewed instead of claimed", "fabric8io/kubernetes-client#6020: leadership does not come back", []conformance.RuleID{conformance.ClientServes}, plain.Policy{RenewsWhatIsLost: true}},
		{"C29", "it claims for a registration that is over", "google/trillian#1198: the session is not made anew when it has expired", []conformance.RuleID{conformance.ClientServes}, plain.Policy{IgnoresMembership: true}},
		{"C30", "it claims as soon as it was refused", "a retry loop without a pause", []conformance.RuleID{conformance.ClientPaced}, plain.Policy{Spins: true}},
		{"C31", "it asks again as soon as a call has failed", "a retry loop without backoff", []conformance.RuleID{conformance.ClientPaced}, plain.Policy{Hasty: true}},
		{"C32", "all that wait claim in one instant", "hashicorp/consul#9469, #7523: waiters wake together; F13", []conformance.RuleID{conformance.ClientHerd}, plain.Policy{Stampedes: true}},
		{"C33", "it loses its lease without a word", "kubernetes/kubernetes#23731: nobody is told", []conformance.RuleID{conformance.ClientSaysWhy}, plain.Policy{SaysNothing: true}},
		{"C34", "a goroutine is left after Close", "linagora/cozy-stack#4929, go-micro/plugins#48: the renewal task blocks for ever", []conformance.RuleID{conformance.ClientCloses}, plain.Policy{LeavesGoroutine: true}},
		{"C35", "a ticker is left after Close", "go-micro/plugins#48: the keep-alive goes on", []conformance.RuleID{conformance.ClientCloses}, plain.Policy{LeavesTicker: true}},
		{"C36", "Close returns, and the service ends later", "a shutdown that nobody waits for", []conformance.RuleID{conformance.ClientCloses}, plain.Policy{ClosesLate: true}},
		{"C37", "renewals end with the context of the request that began the tenure", "a context that is passed on and has a deadline", []conformance.RuleID{conformance.ClientKeeps}, plain.Policy{RenewsFor: 20 * ttl}},
		{"C38", "it sends no heartbeats", "a node that renews its leases and forgets its registration", []conformance.RuleID{conformance.ClientKeeps}, plain.Policy{NeverBeats: true}},
		{"C39", "the pause after a failed claim doubles without a bound", "a backoff without a cap: hours after the store is back nobody has asked", []conformance.RuleID{conformance.ClientServes}, plain.Policy{BacksOff: true}},
		{"C40", "it gives an actor up after five losses", "a budget of restarts that nothing refills", []conformance.RuleID{conformance.ClientServes}, plain.Policy{Losses: 5}},
		{"C41", "the loss of one lease ends the renewal of all", "one task renews everything, and returns with the first error", []conformance.RuleID{conformance.ClientServes}, plain.Policy{OneLossForAll: true}},
		{"C42", "it serves every actor under the first token it was granted", "the token is kept in the client instead of with the lease", []conformance.RuleID{conformance.ServesGranted, conformance.ServesNotEnded}, plain.Policy{OneToken: true}},
		{"C43", "it renews the lease of its first tenure", "a lease that the renewal's closure captured once", []conformance.RuleID{conformance.ClientServes}, plain.Policy{RenewsFirst: true}},
		{"C44", "that a later token exists is only logged", "an operator has moved the actor, and the node goes on", []conformance.RuleID{conformance.ServesNotEnded}, plain.Policy{IgnoresFenced: true}},
		{"C45", "a process takes its name back from the one that superseded it", "two replicas with one configured name restart each other", []conformance.RuleID{conformance.ClientOwn}, plain.Policy{Fights: true}},
		{"C46", "a process that restarts waits until its former registration has ended", "nobody ends it: the process that could is dead", []conformance.RuleID{conformance.ClientServes}, plain.Policy{StartsIfAbsent: true}},
		{"C47", "it releases a lease without looking whose it is", "DEL instead of compare-and-delete: the unlock of a Redis lock frees the next owner's", []conformance.RuleID{conformance.ClientOwn}, plain.Policy{ReleasesAny: true}},
		{"C48", "giving up does not wait for the claim that is under way", "a cancelled wait that is granted afterwards", []conformance.RuleID{conformance.ClientGivesUp}, plain.Policy{DropsAtOnce: true}},
		{"C49", "a lease that it is told of is served without a look at it", "a message that comes late or twice", []conformance.RuleID{conformance.StopsFirst, conformance.ServesInTime}, plain.Policy{TrustsAdopted: true}},
		{"C50", "all that watch claim in the instant in which the actor is released", "hashicorp/consul#7523: the blocking queries return together", []conformance.RuleID{conformance.ClientHerd}, plain.Policy{WakesAll: true}},
		{"C51", "a timer fires long after Close", "a time.AfterFunc that nobody stops", []conformance.RuleID{conformance.ClientCloses}, plain.Policy{TimerAfter: 20 * ttl}},
		{"C52", "the first heartbeat that fails is the last one", "the task that keeps the registration ends with its first error", []conformance.RuleID{conformance.ClientKeeps}, plain.Policy{BeatsDie: true}},
		{"C53", "who waits looks without a timeout", "an answer that was lost is waited for ever: the election's watcher is stuck", []conformance.RuleID{conformance.ClientServes}, plain.Policy{LooksForever: true}},
		{"C54", "who waits for an actor claims no other", "one loop for all that is wanted, which waits in it", []conformance.RuleID{conformance.ClientServes}, plain.Policy{WaitsInTurn: true}},
		{"C55", "the pause between two looks grows without a bound", "a backoff without a cap, on what is held and not on what fails", []conformance.RuleID{conformance.ClientServes}, plain.Policy{LooksLess: true}},
		{"C56", "it waits by a watch alone", "a holder that crashed changes no record: nobody is woken", []conformance.RuleID{conformance.ClientServes}, plain.Policy{WatchesAlone: true}},
		{"C57", "Close gives back one lease after the other", "a shutdown that takes a timeout for each lease, when the store cannot be reached", []conformance.RuleID{conformance.ClientCloses}, plain.Policy{ClosesInTurn: true}},
		{"C58", "an actor that is asked for twice is served twice", "each request starts a task, and one of them is stopped", []conformance.RuleID{conformance.ClientGivesUp, conformance.ServesAlone}, plain.Policy{WantsTwice: true}},
		{"C59", "giving up what it does not have has no end", "a wait for a task that has ended already", []conformance.RuleID{conformance.ClientGivesUp}, plain.Policy{DropsWait: true}},
		{"C60", "its instance is made of its name", "an id from the host's name: a process that comes back is taken for the one before", []conformance.RuleID{conformance.ServesAlone}, plain.Policy{InstanceByName: true}},
		{"C61", "a batch of renewals that failed is sent again at once", "a retry loop without backoff, around the batch", []conformance.RuleID{conformance.ClientPaced}, plain.Policy{HastyBatches: true}},
		{"C62", "heartbeats that failed make all later ones rarer", "a backoff that success does not reset", []conformance.RuleID{conformance.ClientKeeps}, plain.Policy{BeatsLess: true}},
		{"C63", "it asks for its registration without a timeout", "an answer that was lost is waited for ever, and nothing registers again", []conformance.RuleID{conformance.ClientServes}, plain.Policy{AsksForever: true}},
	}
}
