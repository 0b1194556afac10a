package rules_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
	"github.com/kelpie-registry/registry/reference"
)

// TestMain asks for more states than rapid's default; -rapid.checks still overrides.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "400"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// state is everything a decision can depend on. The names are so few and the
// numbers so small that records, leases and nodes meet in every way.
type state struct {
	cfg   registry.Config
	rec   registry.Placement // zero: no record
	node  registry.Node      // the latest registration of ref.ID; zero: none
	ref   registry.NodeRef
	lease registry.Lease
	id    registry.ClaimID
	now   registry.Instant
}

var actor = registry.ActorID{Namespace: "cart", Name: "7"}

func drawRef(t *rapid.T, label string) registry.NodeRef {
	return registry.NodeRef{
		ID:    rapid.SampledFrom([]registry.NodeID{"a", "b"}).Draw(t, label+" id"),
		Epoch: registry.Epoch(rapid.IntRange(1, 3).Draw(t, label+" epoch")),
	}
}

func drawState(t *rapid.T) state {
	var s state
	d := func(label string, lo, hi int) time.Duration {
		return time.Duration(rapid.IntRange(lo, hi).Draw(t, label))
	}
	s.cfg.AllowShortTTL = true
	s.cfg.TTL = d("ttl", 1, 40)
	s.cfg.Grace = d("grace", 0, int(s.cfg.TTL))
	s.cfg.MaxClockSkew = d("skew", 0, int(s.cfg.TTL/4))
	s.cfg.FailureTimeout = 2*s.cfg.MaxClockSkew + d("silence", 1, 40)
	require.NoError(t, s.cfg.Validate())

	s.ref = drawRef(t, "ref")
	s.lease = registry.Lease{
		Actor:  actor,
		Holder: drawRef(t, "lease holder"),
		Token:  registry.Token(rapid.IntRange(1, 4).Draw(t, "lease token")),
		// Deliberately not the record's: the rules go by holder and token.
		Version: 99, Expiry: 9999,
	}
	ids := rapid.SampledFrom([]registry.ClaimID{{1}, {2}})
	s.id = ids.Draw(t, "claim id")
	if rapid.Bool().Draw(t, "recorded") {
		s.rec = registry.Placement{
			Actor:   actor,
			Token:   registry.Token(rapid.IntRange(1, 4).Draw(t, "token")),
			Version: registry.Version(rapid.IntRange(1, 9).Draw(t, "version")),
			Expiry:  registry.Instant(d("expiry", 80, 140)),
		}
		if rapid.Bool().Draw(t, "held") {
			s.rec.Holder = drawRef(t, "holder")
			if rapid.Bool().Draw(t, "under the lease") {
				s.lease.Holder, s.lease.Token = s.rec.Holder, s.rec.Token
			}
			if rapid.Bool().Draw(t, "by ref") {
				s.ref = s.rec.Holder
			}
		}
		if rapid.Bool().Draw(t, "by claim") {
			s.rec.ClaimID = ids.Draw(t, "record's claim id")
		}
	}
	if rapid.Bool().Draw(t, "registered") {
		latest := s.ref
		if rapid.Bool().Draw(t, "another epoch") {
			latest.Epoch = registry.Epoch(rapid.IntRange(1, 3).Draw(t, "epoch"))
		}
		s.node = registry.Node{
			Ref:      latest,
			Info:     registry.NodeInfo{Address: "old"},
			Status:   rapid.SampledFrom([]registry.NodeStatus{registry.NodeActive, registry.NodeFailed, registry.NodeLeft}).Draw(t, "status"),
			LastSeen: registry.Instant(d("last seen", 80, 140)),
		}
	}
	return s
}

// readings lists every reading at which some decision may turn, the one before
// it and the one after it.
func readings(s state) (all []registry.Instant) {
	lapse := s.rec.Expiry.Add(s.cfg.Grace)
	for _, turn := range []registry.Instant{
		s.rec.Expiry.Add(-s.cfg.TTL), // a renewal extends from here on
		s.rec.Expiry,
		lapse,
		lapse.Add(s.cfg.MaxClockSkew),
		lapse.Add(2 * s.cfg.MaxClockSkew),
		s.node.LastSeen,
		s.node.LastSeen.Add(s.cfg.FailureTimeout),
		s.cfg.FailedAt(s.node.LastSeen),
	} {
		all = append(all, turn-1, turn, turn+1)
	}
	return all
}

// outcome is a decision in a comparable form.
type outcome[T any] struct {
	next    T
	changed bool
	refusal registry.Refusal
}

func decided[T any](t *rapid.T, next T, changed bool, err error) outcome[T] {
	o := outcome[T]{next: next, changed: changed}
	if err != nil {
		var refusal *registry.Refusal
		require.ErrorAs(t, err, &refusal)
		o.refusal = *refusal
	}
	return o
}

// specified is what the specification's action does to a record or a member: the
// no-op where it repeats, the refusal of the guard that fails, or the effect.
func specified[T any](before T, repeats bool, g reference.Guard, detail registry.Refusal, effect func() T) outcome[T] {
	switch {
	case repeats:
		return outcome[T]{next: before}
	case g != reference.Enabled:
		detail.Reason = g.Refusal()
		switch g {
		case reference.NodeKnown, reference.NodeNotFailed, reference.NodeAbsent, reference.NodeSilent:
			detail.Placement = registry.Placement{}
		default:
			detail.Node = registry.Node{}
		}
		return outcome[T]{next: before, refusal: detail}
	default:
		return outcome[T]{next: effect(), changed: true}
	}
}

// TestDecisionsEqualTheSpecification compares each decision with the action of
// the same name in package reference, value for value, refusal detail included
// (contract, section 3: the table of operations and the order of refusals).
func TestDecisionsEqualTheSpecification(t *testing.T) {
	seen := map[error]int{}
	check := func(name string, compare func(t *rapid.T, s state) registry.Refusal) {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s := drawState(t)
			for _, s.now = range readings(s) {
				seen[compare(t, s).Reason]++
			}
		}))
	}
	// named is the record as the effects see it: under its actor's name.
	named := func(s state) registry.Placement { r := s.rec; r.Actor = actor; return r }
	record := func(s state) registry.Placement {
		if s.rec.Version == 0 {
			return registry.Placement{}
		}
		return named(s)
	}

	check("Claim", func(t *rapid.T, s state) registry.Refusal {
		next, changed, err := rules.Claim(s.cfg, s.rec, s.node, actor, s.ref, s.id, s.now)
		want := specified(record(s), reference.ClaimRepeats(s.cfg, named(s), s.ref, s.id, s.now),
			reference.ClaimGuard(s.cfg, named(s), s.node.Standing(s.ref), s.now),
			registry.Refusal{Placement: s.rec, Node: s.node, Now: s.now},
			func() registry.Placement { return reference.ClaimEffect(s.cfg, named(s), s.ref, s.id, s.now) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("Renew", func(t *rapid.T, s state) registry.Refusal {
		next, changed, err := rules.Renew(s.cfg, s.rec, s.lease, s.now)
		want := specified(record(s), false,
			reference.RenewGuard(s.cfg, named(s), s.lease.Holder, s.lease.Token, s.now),
			registry.Refusal{Placement: s.rec, Now: s.now},
			func() registry.Placement { return reference.RenewEffect(s.cfg, named(s), s.now) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("Release", func(t *rapid.T, s state) registry.Refusal {
		next, changed, err := rules.Release(s.rec, s.lease)
		want := specified(record(s), reference.ReleaseRepeats(named(s), s.lease.Token),
			reference.ReleaseGuard(named(s), s.lease.Holder, s.lease.Token),
			registry.Refusal{Placement: s.rec},
			func() registry.Placement { return reference.ReleaseEffect(named(s)) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("Transfer", func(t *rapid.T, s state) registry.Refusal {
		next, changed, err := rules.Transfer(s.cfg, s.rec, s.node, s.lease, s.ref, s.now)
		want := specified(record(s), false,
			reference.TransferGuard(s.cfg, named(s), s.lease.Holder, s.lease.Token, s.node.Standing(s.ref), s.now),
			registry.Refusal{Placement: s.rec, Node: s.node, Now: s.now},
			func() registry.Placement { return reference.TransferEffect(s.cfg, named(s), s.ref, s.now) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("Validate", func(t *rapid.T, s state) registry.Refusal {
		err := rules.Validate(s.rec, s.lease.Token)
		want := specified(0, true, "", registry.Refusal{}, nil)
		if g := reference.ValidateGuard(s.rec, s.lease.Token); g != reference.Enabled {
			want = specified(0, false, g, registry.Refusal{Placement: s.rec}, nil)
		}
		require.Equal(t, want, decided(t, 0, false, err))
		return want.refusal
	})
	check("RegisterNode", func(t *rapid.T, s state) registry.Refusal {
		mode := registry.RegisterMode(s.now % 2)
		info := registry.NodeInfo{Address: "new"}
		if rapid.Bool().Draw(t, "same process") {
			info.Instance = s.node.Info.Instance
		}
		next, changed, err := rules.RegisterNode(s.node, s.ref.ID, info, mode, s.now)
		want := specified(s.node, reference.RegisterRepeats(s.node, info.Instance), reference.RegisterNodeGuard(s.node, mode),
			registry.Refusal{Node: s.node, Now: s.now},
			func() registry.Node { return reference.RegisterNodeEffect(s.node, s.ref.ID, info, s.now) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("Heartbeat", func(t *rapid.T, s state) registry.Refusal {
		next, err := rules.Heartbeat(s.node, s.ref, s.now)
		want := specified(s.node, false, reference.HeartbeatGuard(s.node, s.ref),
			registry.Refusal{Node: s.node, Now: s.now},
			func() registry.Node { return reference.HeartbeatEffect(s.node, s.now) })
		require.Equal(t, want, decided(t, next, err == nil, err))
		return want.refusal
	})
	check("MarkFailed", func(t *rapid.T, s state) registry.Refusal {
		next, changed, err := rules.MarkFailed(s.cfg, s.node, s.ref, s.now)
		want := specified(s.node, reference.MarkFailedRepeats(s.node, s.ref),
			reference.MarkFailedGuard(s.cfg, s.node, s.ref, s.now),
			registry.Refusal{Node: s.node, Now: s.now},
			func() registry.Node { return reference.MarkFailedEffect(s.node) })
		require.Equal(t, want, decided(t, next, changed, err))
		return want.refusal
	})
	check("DeregisterNode", func(t *rapid.T, s state) registry.Refusal {
		next, err := rules.DeregisterNode(s.node, s.ref)
		want := specified(s.node, false, reference.DeregisterNodeGuard(s.node, s.ref),
			registry.Refusal{Node: s.node},
			func() registry.Node { return reference.DeregisterNodeEffect(s.node) })
		require.Equal(t, want, decided(t, next, err == nil, err))
		return want.refusal
	})

	if testing.Short() {
		return // a fifth of the states: too few for what follows
	}
	// Vacuity guard: the states drawn must reach every refusal, and success.
	for _, reason := range []error{
		nil, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive,
		registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld,
	} {
		require.Positive(t, seen[reason], "no state drawn was answered with %v", reason)
	}
}

// TestArgumentsAreCheckedInParameterOrder: the first bad argument is the one
// that is named (contract, section 3: ErrInvalid names it).
func TestArgumentsAreCheckedInParameterOrder(t *testing.T) {
	ref, bad := registry.NodeRef{ID: "a", Epoch: 1}, registry.NodeRef{ID: "a"}
	id, token, page := registry.ClaimID{1}, registry.Token(1), registry.Page{}
	lease := registry.Lease{Actor: actor, Holder: ref, Token: 1}
	badPage, long := registry.Page{Limit: -1}, registry.NodeInfo{Address: strings.Repeat("x", registry.MaxAddressBytes+1)}
	for _, c := range []struct {
		field string // "" when the arguments are good
		err   error
	}{
		{"", rules.CheckClaim(actor, ref, id)},
		{"actor namespace", rules.CheckClaim(registry.ActorID{}, bad, registry.ClaimID{})},
		{"node epoch", rules.CheckClaim(actor, bad, registry.ClaimID{})},
		{"claim id", rules.CheckClaim(actor, ref, registry.ClaimID{})},
		{"", rules.CheckTransfer(lease, ref)},
		{"actor namespace", rules.CheckTransfer(registry.Lease{}, bad)},
		{"node epoch", rules.CheckTransfer(lease, bad)},
		{"", rules.CheckValidate(actor, token)},
		{"actor namespace", rules.CheckValidate(registry.ActorID{}, 0)},
		{"token", rules.CheckValidate(actor, 0)},
		{"", rules.CheckListActors(ref, page)},
		{"node epoch", rules.CheckListActors(bad, badPage)},
		{"page limit", rules.CheckListActors(ref, badPage)},
		{"", rules.CheckRegisterNode("a", registry.NodeInfo{}, registry.Supersede)},
		{"node id", rules.CheckRegisterNode("", long, 7)},
		{"node address", rules.CheckRegisterNode("a", long, 7)},
		{"register mode", rules.CheckRegisterNode("a", registry.NodeInfo{}, 7)},
		{"", rules.CheckListNodes(registry.AnyStatus, page)},
		{"node status", rules.CheckListNodes(7, badPage)},
		{"page limit", rules.CheckListNodes(registry.AnyStatus, badPage)},
	} {
		if c.field == "" {
			require.NoError(t, c.err)
			continue
		}
		var invalid *registry.InvalidError
		require.ErrorAs(t, c.err, &invalid)
		require.Equal(t, c.field, invalid.Field)
	}
}
