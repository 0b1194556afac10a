package op

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/kelpie-registry/registry"
)

// Text is the one notation in which calls and results are shown to people. Times
// are told from an origin, as T+1.2s; names that are long or unusual are
// shortened and quoted. It is not read again: see [Call.Script] for that.
type Text struct {
	Origin    registry.Instant            // what T stands for
	Namespace string                      // of actors that are shown by their name alone
	Claims    map[registry.ClaimID]string // how claims, and instances, are shown; see [Distinguish]
}

// Attempt returns what makes a repetition of the call known as one: a claim's id, a
// registration's instance, or zero.
func (c *Call) Attempt() registry.ClaimID {
	switch c.Kind {
	case Claim:
		return c.ClaimID
	case RegisterNode:
		return registry.ClaimID(c.Info.Instance)
	}
	return registry.ClaimID{}
}

// Distinguish returns how to show these ids: each by its first digits, and
// by as many as it takes to tell it from the others.
func Distinguish(ids []registry.ClaimID) map[registry.ClaimID]string {
	shown := map[registry.ClaimID]string{}
	for _, digits := range []int{4, 8, 32} {
		takers := map[string]int{}
		for _, id := range ids {
			if _, done := shown[id]; !done {
				shown[id] = shortID(id, digits)
				takers[shown[id]]++
			}
		}
		for id, s := range shown {
			if takers[s] > 1 { // the next ask for more digits
				delete(shown, id)
			}
		}
	}
	return shown
}

// Claim shows a claim's id.
func (t Text) Claim(id registry.ClaimID) string {
	if s, ok := t.Claims[id]; ok {
		return s
	}
	return shortID(id, 4)
}

// Time shows a reading: "none" for the zero Instant, which is no reading.
func (t Text) Time(i registry.Instant) string {
	if i == 0 && t.Origin != 0 {
		return "none"
	}
	if d := i.Sub(t.Origin); d < 0 {
		return "T-" + (-d).String()
	} else {
		return "T+" + d.String()
	}
}

// Actor shows an actor's name, with its namespace unless it is the text's.
func (t Text) Actor(a registry.ActorID) string {
	if a.Namespace == t.Namespace && t.Namespace != "" {
		return short(a.Name)
	}
	return short(a.Namespace) + "/" + short(a.Name)
}

// Ref shows an incarnation, as n1#1, and "nobody" for none.
func (t Text) Ref(r registry.NodeRef) string {
	if r.IsZero() {
		return "nobody"
	}
	return short(string(r.ID)) + "#" + strconv.FormatUint(uint64(r.Epoch), 10)
}

// Record shows an actor's record or a lease.
func (t Text) Record(p registry.Placement) string {
	if p.Version == 0 && p.Token == 0 && !p.Held() {
		return "never claimed"
	}
	return t.RecordExpiring(p, t.Time(p.Expiry))
}

// RecordExpiring shows a record with the expiry in words.
func (t Text) RecordExpiring(p registry.Placement, expiry string) string {
	return fmt.Sprintf("%s token %d version %d expiry %s", t.Ref(p.Holder), p.Token, p.Version, expiry)
}

// Node shows a registration.
func (t Text) Node(n registry.Node) string {
	if n.Ref.IsZero() {
		return "never registered"
	}
	return fmt.Sprintf("%s %v seen %s", t.Ref(n.Ref), n.Status, t.Time(n.LastSeen))
}

// Call shows a call, as Claim(a, n1#1, id 7f3a).
func (t Text) Call(c *Call) string {
	var args []string
	for _, a := range c.Kind.row().arguments {
		args = append(args, a.show(t, c)...)
	}
	return c.Kind.String() + "(" + strings.Join(args, ", ") + ")"
}

// Answer shows what was answered to a call: its result, and the claim's id where
// that is not the one that was asked with.
func (t Text) Answer(c *Call, r *Result) string {
	s := t.Result(c.Kind, r)
	if c.Kind == Claim && r.Outcome == OK && r.Record.Token != 0 && r.Record.ClaimID != c.ClaimID {
		s += fmt.Sprintf(" under claim id %v", r.Record.ClaimID)
	}
	return s
}

// Result shows what a call of the given kind answered.
func (t Text) Result(k Kind, r *Result) string {
	switch r.Outcome {
	case OK:
		return t.success(k, r)
	case Refused:
		return string(r.Reason) + t.details(r)
	case Settled:
		return "unknown outcome, settled"
	case Open:
		return "unknown outcome, may still apply"
	case Pending:
		return "no answer"
	case Unlisted:
		if r.Reason != NotListed { // of Open
			return errorText(r.Err)
		}
		return fmt.Sprintf("an error that the contract does not have: %q", errorText(r.Err))
	case Invalid:
		return errorText(r.Err)
	case Cancelled:
		return r.Reason.Err().Error()
	}
	return string(r.Reason)
}

// details shows what a refusal says that it found.
func (t Text) details(r *Result) string {
	var found []string
	if r.Record != (registry.Placement{}) {
		found = append(found, t.Record(r.Record))
	}
	if r.Node != (registry.Node{}) {
		found = append(found, t.Node(r.Node))
	}
	if len(found) == 0 {
		return ""
	}
	return ": " + strings.Join(found, "; ")
}

func (t Text) success(k Kind, r *Result) string {
	switch k.row().answers {
	case aLease:
		if r.Record.Token == 0 {
			return "a zero lease"
		}
		return t.Record(r.Record)
	case aChange:
		return t.Record(r.Record)
	case aRecord:
		if !r.Found {
			return "no record"
		}
		return t.Record(r.Record)
	case aNode:
		return t.Node(r.Node)
	case aMember:
		if !r.Found {
			return "no registration"
		}
		return t.Node(r.Node)
	case actorRows:
		return rows(len(r.Actors), func(i int) string { return t.Actor(r.Actors[i].Actor) + " " + t.Record(r.Actors[i]) })
	case nodeRows:
		return rows(len(r.Nodes), func(i int) string { return t.Node(r.Nodes[i]) })
	case resultRows:
		return rows(len(r.Renewals), func(i int) string { return t.Result(Renew, &r.Renewals[i]) })
	}
	return "ok"
}

// maxRows is how many rows of a listing are shown.
const maxRows = 5

func rows(n int, row func(int) string) string {
	list := make([]string, 0, maxRows+1)
	for i := range min(n, maxRows) {
		list = append(list, row(i))
	}
	if n > maxRows {
		list = append(list, fmt.Sprintf("… %d rows", n))
	}
	return "[" + strings.Join(list, "; ") + "]"
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// short shows a name as it is when it is short and plain, quoted otherwise, and
// of a long one the beginning and the length.
func short(s string) string {
	const most = 24
	switch plain := s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == '/' || !unicode.IsPrint(r) || r > '~' }) < 0; {
	case len(s) <= most && plain:
		return s
	case len(s) <= most:
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(s[:8]), len(s))
}

// shortID is the first digits of a claim's identity, without the zeros around it;
// all 32 are the whole of it.
func shortID(id registry.ClaimID, digits int) string {
	if digits == 32 {
		return id.String()
	}
	s := strings.Trim(id.String(), "0")
	if s == "" {
		return "0"
	}
	return s[:min(len(s), digits)]
}
