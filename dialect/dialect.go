// Package dialect names how the contract of a lock, a lease server or an actor
// directory may differ from the registry's. A backend declares its [Dialect]; the
// suite judges it in that dialect, in which more answers are right, and never
// fewer, and says what the dialect costs.
//
// Whatever is not declared is held to the contract.
package dialect

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Dialect is a set of differences from the contract. It is comparable; the zero
// Dialect is the contract itself.
type Dialect struct {
	// SparseTokens: each grant's token is higher than every earlier one of the
	// actor, not by one: a store's revision, a sequence, a transaction's number.
	SparseTokens bool

	// SparseVersions: each mutation's version is higher than the one before, not by one.
	SparseVersions bool

	// NoTokens: a token names a tenure and says nothing about order, because the
	// lock has none and an adapter lends it. There is no Validate.
	NoTokens bool

	// BareRecords: a record has no version, which is told as 1. A lookup may leave out
	// the expiry (0), a refusal the record. A watch, which goes by versions, is not judged.
	BareRecords bool

	// NoClaimIDs: a claim is not known by its ClaimID. The holder that claims again is
	// refused as anybody is, or told the lease that it has. Records may leave out the
	// ClaimID.
	NoClaimIDs bool

	// Forgets: the record of a released or lapsed tenure may be gone. It is not
	// found, and whoever presents the tenure is told ErrNotHeld. Once a read has not
	// found it, it does not come back. Tokens and versions
	// are not used again all the same: the next tenure has higher ones, maybe by more
	// than one, as those of an actor that was never claimed may begin above 1. Who
	// claims may find it gone as soon as its lease has lapsed by their own clock, for
	// another's may have found it reclaimable; and, if the call waited after its reading or
	// applies late, also while it was live by that reading.
	Forgets bool

	// HoldsLonger is by how much the store may keep a lease longer than it told: its
	// holder may still renew, and claims are still refused, the holder's own too or told
	// that lease. [Unbounded]: for ever. So the
	// expiry that a grant tells may be earlier than TTL after the store granted it.
	// A claimer that observes a lease for a while before it takes over is such a store.
	HoldsLonger time.Duration

	// StoreClock: every reading is of one clock, the store's, and MaxClockSkew (ε) bounds
	// how far each holder's clock is from it. A margin of ε is then enough.
	StoreClock bool

	NoMembership bool // no registrations: any name and epoch may claim
	NoTransfer   bool
	NoListing    bool // neither ListActors nor ListNodes
}

// Unbounded is a [Dialect.HoldsLonger] without a bound.
const Unbounded = time.Duration(math.MaxInt64)

// Difference describes one field of a [Dialect].
type Difference struct {
	Name   string // as in texts, for example "sparse-tokens"
	Phrase string // as a reader is told what it passes as
	Costs  string // what is then not promised; "" for nothing
	Only   Dialect
}

// Differences lists them all, in the order in which they are told.
func Differences() []Difference { return slices.Clone(differences) }

var differences = []Difference{
	{"store-clock", "store's clock", "", Dialect{StoreClock: true}},
	{"sparse-tokens", "sparse tokens", "", Dialect{SparseTokens: true}},
	{"sparse-versions", "sparse versions", "versions without gaps", Dialect{SparseVersions: true}},
	{"no-tokens", "lent tokens", "TokenMonotonic, NoStaleWrite", Dialect{NoTokens: true}},
	{"bare-records", "bare records", "VersionBump", Dialect{BareRecords: true}},
	{"no-claim-ids", "no claim ids", "claim retry", Dialect{NoClaimIDs: true}},
	{"forgets", "forgets ended tenures", "why a tenure has ended", Dialect{Forgets: true}},
	{holdsLonger, "may hold longer than told", "when a lapsed actor is claimable", Dialect{HoldsLonger: Unbounded}},
	{"no-membership", "no membership", "that a failed node claims nothing", Dialect{NoMembership: true}},
	{"no-transfer", "no transfer", "hand-off", Dialect{NoTransfer: true}},
	{"no-listing", "no listing", "listing", Dialect{NoListing: true}},
}

const holdsLonger = "holds-longer"

// And returns the dialect with the differences of both.
func (d Dialect) And(e Dialect) Dialect {
	return Dialect{
		SparseTokens:   d.SparseTokens || e.SparseTokens,
		SparseVersions: d.SparseVersions || e.SparseVersions,
		NoTokens:       d.NoTokens || e.NoTokens,
		BareRecords:    d.BareRecords || e.BareRecords,
		NoClaimIDs:     d.NoClaimIDs || e.NoClaimIDs,
		Forgets:        d.Forgets || e.Forgets,
		HoldsLonger:    max(d.HoldsLonger, e.HoldsLonger),
		StoreClock:     d.StoreClock || e.StoreClock,
		NoMembership:   d.NoMembership || e.NoMembership,
		NoTransfer:     d.NoTransfer || e.NoTransfer,
		NoListing:      d.NoListing || e.NoListing,
	}
}

// Has reports whether d has the difference, for HoldsLonger by any duration.
func (d Dialect) Has(f Difference) bool {
	if f.Only.HoldsLonger > 0 {
		return d.HoldsLonger > 0
	}
	return d.And(f.Only) == d
}

// List returns the differences that d has.
func (d Dialect) List() []Difference {
	return slices.DeleteFunc(Differences(), func(f Difference) bool { return !d.Has(f) })
}

// Offers reports whether operations of the kind exist in the dialect.
func (d Dialect) Offers(k op.Kind) bool {
	switch {
	case k == op.Transfer:
		return !d.NoTransfer
	case k == op.Validate:
		return !d.NoTokens
	case k.Lists():
		return !d.NoListing && (k == op.ListActors || !d.NoMembership)
	case k.OfNode():
		return !d.NoMembership
	}
	return true
}

// Strict reports whether every answer that exists in the dialect is the contract's:
// nothing differs but that operations are missing.
func (d Dialect) Strict() bool {
	d.NoMembership, d.NoTransfer, d.NoListing = false, false, false
	return d == Dialect{}
}

// Shape is what a backend of the dialect is called: "registry", "directory"
// without membership, "lock" without membership, transfer and listing.
func (d Dialect) Shape() string {
	switch {
	case d.NoMembership && d.NoTransfer && d.NoListing:
		return "lock"
	case d.NoMembership:
		return "directory"
	}
	return "registry"
}

// Validate returns a [*registry.InvalidError] for a dialect that contradicts itself.
func (d Dialect) Validate() error {
	bad := func(problem string) error { return &registry.InvalidError{Field: "dialect", Problem: problem} }
	switch {
	case d.HoldsLonger < 0:
		return bad(fmt.Sprintf("holds longer by %v, want 0 or more", d.HoldsLonger))
	case d.SparseTokens && d.NoTokens:
		return bad("has sparse tokens and no tokens")
	case d.SparseVersions && d.BareRecords:
		return bad("has sparse versions and bare records")
	}
	return nil
}

// String returns what [Parse] reads: the names of the differences, joined by
// commas, "contract" for none: "sparse-tokens,holds-longer=50ms,no-transfer".
func (d Dialect) String() string {
	var names []string
	for _, f := range d.List() {
		name := f.Name
		if name == holdsLonger && d.HoldsLonger != Unbounded {
			name += "=" + d.HoldsLonger.String()
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "contract"
	}
	return strings.Join(names, ",")
}

// Parse reads what [Dialect.String] writes. An error matches registry.ErrInvalid.
func Parse(s string) (d Dialect, err error) {
	if s == "contract" || s == "" {
		return d, nil
	}
	for _, word := range strings.Split(s, ",") {
		name, by, bounded := strings.Cut(word, "=")
		i := slices.IndexFunc(differences, func(f Difference) bool { return f.Name == name })
		if i < 0 || bounded && name != holdsLonger {
			return Dialect{}, &registry.InvalidError{Field: "dialect", Problem: fmt.Sprintf("has no difference %q", word)}
		}
		only := differences[i].Only
		if bounded {
			if only.HoldsLonger, err = time.ParseDuration(by); err != nil || only.HoldsLonger <= 0 {
				return Dialect{}, &registry.InvalidError{Field: "dialect", Problem: fmt.Sprintf("holds longer by %q, want a duration above 0", by)}
			}
		}
		d = d.And(only)
	}
	return d, d.Validate()
}

// MarshalText and UnmarshalText are [Dialect.String] and [Parse].
func (d Dialect) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Dialect) UnmarshalText(text []byte) (err error) {
	*d, err = Parse(string(text))
	return err
}
