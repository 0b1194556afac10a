package conformance

import (
	"time"

	"github.com/kelpie-registry/registry"
)

func contractSection() Section {
	return Section{
		Name: "contract",
		Doc:  "every row and every refusal of the table of operations, one caller at a time, compared with the reference",
		Cases: []Case{
			{Name: "claim-grants", Doc: "a free actor is granted, a released one again, a lapsed one to anybody",
				Rules: []RuleID{"Claim.granted", TokenMonotonic, VersionBump}, run: claimGrants},
			{Name: "claim-boundaries", Doc: "a stranger's claim one nanosecond before, at and after each boundary of the lease",
				Rules: []RuleID{"Claim.held", GraceRespected, SingleActivation}, Needs: []Capability{ClockControl}, run: claimBoundaries},
		},
	}
}

func allSections() []Section { return []Section{contractSection()} }

func claimGrants(t *trial) {
	w := t.newWorld(t.seed)
	defer w.close()
	n1, n2 := w.node("n1", 0), w.node("n2", 0)
	a := w.actor("a")
	l := w.is(n1.claim(a), nil).lease()
	w.is(n2.do(lookup(a)), nil)
	w.is(n1.do(release(l)), nil)
	w.is(n2.claim(a), nil)
	w.advance(w.cfg.TTL + w.cfg.Grace + 4*w.cfg.MaxClockSkew)
	w.is(n1.claim(a), nil)
}

func claimBoundaries(t *trial) {
	for _, boundary := range []time.Duration{0, t.cfg.Grace, t.cfg.Grace + 2*t.cfg.MaxClockSkew} {
		for _, by := range []time.Duration{-1, 0, 1} {
			w := t.newWorld(t.seed)
			n1, n2 := w.node("n1", -t.cfg.MaxClockSkew), w.node("n2", t.cfg.MaxClockSkew)
			a := w.actor("a")
			l := w.is(n1.claim(a), nil).lease()
			w.until(n2, l.Expiry.Add(boundary+by))
			want := error(registry.ErrHeld)
			if boundary+by >= t.cfg.Grace+2*t.cfg.MaxClockSkew {
				want = nil
			}
			w.is(n2.claim(a), want)
			w.close()
		}
	}
}
