// Package audit says what is wrong with the stored state of a registry, one record or
// registration at a time: what no sequence of the contract's operations leaves
// behind. It is written from the contract apart from the code that stores the state.
package audit

import (
	"fmt"

	"github.com/kelpie-registry/registry"
)

// Kind is a kind of damage.
type Kind string

// The kinds. Fallen is of stores that keep what was before; the last five are of those
// that keep more than one copy or part.
const (
	BadName         Kind = "bad-name"         // a name, an address or a number that no operation accepts
	Tokens          Kind = "tokens"           // token and version contradict each other or the holder
	NeverRegistered Kind = "never-registered" // the holder's incarnation was never registered
	Fallen          Kind = "fallen"           // a token, a version or an epoch that was higher before
	Unreadable      Kind = "unreadable"       // a value that the registry did not write
	Foreign         Kind = "foreign"          // a key that the registry does not have
	HalfMissing     Kind = "half-missing"     // a record or a registration without one of its parts
	NotIndexed      Kind = "not-indexed"      // a held record that its holder's list does not have
	WronglyIndexed  Kind = "wrongly-indexed"  // a row of a list whose record has another holder, or none
	StaleIndex      Kind = "stale-index"      // a row of a list that differs from its record
)

// Finding is one piece of damage.
type Finding struct {
	Kind    Kind   `json:"kind"`
	Where   string `json:"where"` // the actor, the node or the key
	Problem string `json:"problem"`
}

// String is the finding in one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Where, f.Problem) }

// Record looks at an actor's record (contract, section 3: what grants, renewals,
// releases and transfers make of one).
//
//   - Every grant adds one to the token and to the version, and every other mutation
//     adds one to the version only, so the token is never above the version; and the
//     first mutation is a grant, so neither is 0.
//   - The first tenure begins with a claim, which has an identity.
func Record(p registry.Placement) (found []Finding) {
	where := p.Actor.String()
	add := func(k Kind, format string, args ...any) {
		found = append(found, Finding{k, where, fmt.Sprintf(format, args...)})
	}
	if err := p.Actor.Validate(); err != nil {
		add(BadName, "%v", err)
	}
	if p.Held() {
		if err := p.Holder.Validate(); err != nil {
			add(BadName, "holder: %v", err)
		}
	}
	switch {
	case p.Version == 0 || p.Token == 0:
		add(Tokens, "token %d, version %d: a record begins with both at 1", p.Token, p.Version)
	case uint64(p.Token) > uint64(p.Version):
		add(Tokens, "token %d is above version %d, though every grant adds one to both", p.Token, p.Version)
	}
	if p.Token == 1 && p.ClaimID.IsZero() {
		add(Tokens, "its first tenure has no claim id, though it began with a claim")
	}
	return found
}

// Holder looks at a record and its holder's registration, the zero node when there
// is none. Epochs grow by one at each registration, and are kept.
func Holder(p registry.Placement, n registry.Node) (found []Finding) {
	if p.Held() && n.Ref.Epoch < p.Holder.Epoch {
		problem := fmt.Sprintf("is held by %v, but the node's latest epoch is %d", p.Holder, n.Ref.Epoch)
		found = append(found, Finding{NeverRegistered, p.Actor.String(), problem})
	}
	return found
}

// Node looks at a registration.
func Node(n registry.Node) (found []Finding) {
	add := func(err error) {
		found = append(found, Finding{BadName, "node " + n.Ref.String(), err.Error()})
	}
	if err := n.Ref.Validate(); err != nil {
		add(err)
	}
	if err := n.Info.Validate(); err != nil {
		add(err)
	}
	if n.Status == registry.AnyStatus {
		add(fmt.Errorf("it has no status"))
	}
	return found
}
