package conformance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

var missing = map[Capability]string{
	ClockControl: "needs exact clock readings, and the backend is RealTime",
	BatchRenew:   "the handles do not implement registry.BatchRenewer",
	Watch:        "the handles do not implement registry.Watcher",
	Restart:      "the cluster does not implement conformance.Restarter",
	Faulty:       "the cluster does not implement conformance.FaultInjector",
	YieldPoints:  "the cluster does not implement conformance.Scheduled",
	Instances:    "a registration repeated under its instance is not answered with the same incarnation",
	Seeding:      "the cluster does not implement conformance.Seeder",
	Purging:      "the handles do not implement registry.Purger, or Purge says that the store forgets nothing",
}

// probe opens one handle and looks what it and its cluster can do. A backend
// that cannot even do that is convicted by the first case that tries.
func probe(j *trial.Judgement) (found map[Capability]bool) {
	found = map[Capability]bool{}
	defer func() { _ = recover() }()
	_, rt := j.Backend.(RealTime)
	found[ClockControl] = !rt
	var cluster Cluster
	err := trial.Untroubled(func() (err error) { cluster, err = j.Backend.New(j.Opts.Cfg); return err })
	if err != nil {
		return found
	}
	defer cluster.Close()
	_, found[Restart] = cluster.(Restarter)
	_, found[Faulty] = cluster.(FaultInjector)
	_, found[YieldPoints] = cluster.(Scheduled)
	_, found[Seeding] = cluster.(Seeder)
	var h registry.Handle
	err = trial.Untroubled(func() (err error) { h, err = cluster.Open(j.Opts.Cfg, registry.SystemClock()); return err })
	if err != nil {
		return found
	}
	defer h.Close()
	j.Found = found
	probeOperations(j, h)
	_, found[BatchRenew] = h.(registry.BatchRenewer)
	_, found[Watch] = h.(registry.Watcher)
	found[Watch] = found[Watch] && !versionless(j, Watch)
	found[Purging] = purges(h, j.Opts.CallTimeout)
	found[Instances] = !j.Dialect.NoMembership && repeatsRegistrations(h, j.Opts.CallTimeout)
	return found
}

// RepeatsRegistrations tries, on a handle of a cluster that nobody else uses,
// whether a registration that is repeated under its instance is answered with the
// same incarnation: whether the backend has [Instances].
func RepeatsRegistrations(h registry.Handle) bool { return repeatsRegistrations(h, defaultCallTimeout) }

func repeatsRegistrations(h registry.Handle, limit time.Duration) bool {
	answered := make(chan bool, 1)
	go func() {
		defer func() { _ = recover() }() // a registry that panics here is convicted elsewhere
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		info := registry.NodeInfo{Instance: registry.InstanceID{1}}
		register := func() (n registry.Node, err error) {
			err = trial.Untroubled(func() (err error) { n, err = h.RegisterNode(ctx, "probe", info, registry.IfAbsent); return err })
			return n, err
		}
		first, err := register()
		again, errAgain := register()
		answered <- err == nil && errAgain == nil && again.Ref == first.Ref // what else they tell is judged
	}()
	select {
	case yes := <-answered:
		return yes
	case <-time.After(limit):
		return false
	}
}

// purges tries Purge on an empty store.
func purges(h registry.Handle, limit time.Duration) bool {
	p, ok := h.(registry.Purger)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := trial.Untroubled(func() error { _, err := p.Purge(ctx); return err })
	return !errors.Is(err, registry.ErrInvalid)
}

func capabilities(j *trial.Judgement) []CapabilityResult {
	d, declares := j.Backend.(Declarer)
	var results []CapabilityResult
	for _, c := range Capabilities() {
		r := CapabilityResult{Capability: c, Found: j.Found[c], Declared: j.Found[c]}
		if declares {
			r.Declared = slices.Contains(d.Declared(), c)
		}
		switch {
		case versionless(j, c): // declared or not
		case r.Declared && !r.Found:
			r.Problem = "declared, but " + missing[c]
		case r.Found && !r.Declared:
			r.Note = "found, but not declared"
		}
		results = append(results, r)
	}
	return results
}

// probeOperations notes which operations a backend leaves out as it declared.
func probeOperations(j *trial.Judgement, h registry.Handle) {
	ctx, cancel := context.WithTimeout(context.Background(), j.Opts.CallTimeout)
	defer cancel()
	l := registry.Lease{Actor: registry.ActorID{Namespace: "conform", Name: "probe"}, Holder: registry.NodeRef{ID: "probe", Epoch: 1}, Token: 1}
	for _, f := range j.Dialect.List() {
		err := trial.Untroubled(func() (err error) {
			switch {
			case f.Only.NoMembership:
				_, _, err = h.GetNode(ctx, l.Holder.ID)
			case f.Only.NoTransfer:
				_, err = h.Transfer(ctx, l, l.Holder)
			case f.Only.NoListing:
				_, _, err = h.ListActors(ctx, l.Holder, registry.Page{})
			}
			return err
		})
		if errors.Is(err, errors.ErrUnsupported) || f.Only.StoreClock && !j.Found[ClockControl] {
			j.Strict.Needs(f)
		}
	}
}

// whyNot says why a capability is missing.
func whyNot(j *trial.Judgement, c Capability) string {
	if e, ok := j.Backend.(Excused); ok {
		if why := e.WhyNot(c); why != "" {
			return why
		}
	}
	if versionless(j, c) {
		return "a watch goes by versions, and bare records have none"
	}
	return missing[c]
}

// versionless reports whether the capability needs what the dialect's records lack.
func versionless(j *trial.Judgement, c Capability) bool { return c == Watch && j.Dialect.BareRecords }

// cannot says why a case is not executed, "" when it is.
func cannot(j *trial.Judgement, c trial.Case) string {
	for _, need := range c.Needs {
		if !j.Found[need] {
			return whyNot(j, need)
		}
	}
	return ""
}
