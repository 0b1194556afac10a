package op

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kelpie-registry/registry"
)

// argument is how one argument of an operation is checked and written.
type argument struct {
	key   string
	check func(*Call) error          // nil: every value is right
	print func(*Call) []string       // none when it is zero
	parse func(*Call, string) error  // one value
	show  func(Text, *Call) []string // for people
}

// Script returns the call as a line of a script: the operation and its
// arguments by name, as in "Claim actor=room/42 node=n1#1 id=1". Arguments that
// are zero are left out. [Parse] is the inverse for everything that the
// contract's operations go by; of a lease its version, expiry and claim id are
// not written.
func (c *Call) Script() string {
	var b strings.Builder
	b.WriteString(c.Kind.String())
	r := c.Kind.row()
	for _, a := range r.arguments {
		for _, v := range a.print(c) {
			b.WriteString(" " + a.key + "=" + v)
		}
	}
	return b.String()
}

// Parse reads the words of what [Call.Script] writes: the operation's name, and
// its arguments in any order. Arguments that are not given are zero.
func Parse(words []string) (Call, error) {
	if len(words) == 0 {
		return Call{}, errors.New("the operation is missing")
	}
	c := Call{Kind: KindOf(words[0])}
	r := c.Kind.row()
	if !c.Kind.Known() {
		return Call{}, fmt.Errorf("%q is not an operation of the contract", words[0])
	}
	given := map[string]bool{}
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		i := slices.IndexFunc(r.arguments, func(a argument) bool { return a.key == key })
		if i < 0 || !ok || given[key] && key != batchArg.key {
			return Call{}, fmt.Errorf("%s: %q is not understood, it takes each once: %s", c.Kind, w, keys(r.arguments))
		}
		given[key] = true
		if err := r.arguments[i].parse(&c, value); err != nil {
			return Call{}, fmt.Errorf("%s: %s: %w", c.Kind, key, err)
		}
	}
	return c, nil
}

func keys(arguments []argument) string {
	var list []string
	for _, a := range arguments {
		list = append(list, a.key+"=")
	}
	return strings.Join(list, " ")
}

// Words splits a line at spaces outside string literals, up to a comment: a #
// at the beginning of a word.
func Words(line string) ([]string, error) {
	var words []string
	for rest := strings.TrimLeft(line, " \t"); rest != "" && rest[0] != '#'; rest = strings.TrimLeft(rest, " \t") {
		n, err := span(rest, " \t")
		if err != nil {
			return nil, err
		}
		words, rest = append(words, rest[:n]), rest[n:]
	}
	return words, nil
}

// span returns the length of what stands before the first of stops that is
// outside of string literals.
func span(s, stops string) (int, error) {
	n := 0
	for n < len(s) && strings.IndexByte(stops, s[n]) < 0 {
		if s[n] != '"' {
			n++
			continue
		}
		q, err := strconv.QuotedPrefix(s[n:])
		if err != nil {
			return 0, fmt.Errorf("a string literal begins at %.20q and does not end", s[n:])
		}
		n += len(q)
	}
	return n, nil
}

// bareName has the characters of names that need no quotes.
const bareName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// QuoteName writes a name: bare when it consists of letters, digits and . _ -,
// as a Go string literal otherwise.
func QuoteName(s string) string {
	if s == "" || strings.Trim(s, bareName) != "" {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// ParseName is the inverse of [QuoteName].
func ParseName(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		v, err := strconv.Unquote(s)
		if err != nil {
			return "", fmt.Errorf("%s is not a string literal", s)
		}
		return v, nil
	}
	if s == "" || strings.Trim(s, bareName) != "" {
		return "", fmt.Errorf("%q is not a name: want letters, digits and . _ - or a string literal", s)
	}
	return s, nil
}

// The arguments. Each stands once, and operations take them from here.
var (
	actorArg = argument{
		key:   "actor",
		check: func(c *Call) error { return c.Actor.Validate() },
		print: func(c *Call) []string { return unless(c.Actor == registry.ActorID{}, printActor(c.Actor)) },
		parse: func(c *Call, s string) (err error) { c.Actor, err = parseActor(s); return err },
		show:  func(t Text, c *Call) []string { return []string{t.Actor(c.Actor)} },
	}
	nodeArg = argument{
		key:   "node",
		check: func(c *Call) error { return c.Node.Validate() },
		print: func(c *Call) []string { return unless(c.Node.IsZero(), printRef(c.Node)) },
		parse: func(c *Call, s string) (err error) { c.Node, err = parseRef(s); return err },
		show:  func(t Text, c *Call) []string { return []string{t.Ref(c.Node)} },
	}
	nodeIDArg = argument{
		key:   "node",
		check: func(c *Call) error { return c.Node.ID.Validate() },
		print: nodeArg.print,
		parse: nodeArg.parse,
		show:  func(_ Text, c *Call) []string { return []string{short(string(c.Node.ID))} },
	}
	tokenArg = argument{
		key:   "token",
		check: func(c *Call) error { return c.Token.Validate() },
		print: func(c *Call) []string { return printNumber(c.Token) },
		parse: func(c *Call, s string) error { return parseNumber(&c.Token, s) },
		show:  func(_ Text, c *Call) []string { return []string{fmt.Sprintf("token %d", c.Token)} },
	}
	claimIDArg = argument{
		key:   "id",
		check: func(c *Call) error { return c.ClaimID.Validate() },
		print: func(c *Call) []string {
			return unless(c.ClaimID.IsZero(), cmp.Or(strings.TrimLeft(c.ClaimID.String(), "0"), "0"))
		},
		parse: func(c *Call, s string) (err error) {
			c.ClaimID, err = registry.ParseClaimID(strings.Repeat("0", max(0, 32-len(s))) + s)
			return err
		},
		show: func(t Text, c *Call) []string { return []string{"id " + t.Claim(c.ClaimID)} },
	}
	toArg = argument{
		key:   "to",
		check: func(c *Call) error { return c.To.Validate() },
		print: func(c *Call) []string { return unless(c.To.IsZero(), printRef(c.To)) },
		parse: func(c *Call, s string) (err error) { c.To, err = parseRef(s); return err },
		show:  func(t Text, c *Call) []string { return []string{"to " + t.Ref(c.To)} },
	}
	leaseArgs = []argument{actorArg, nodeArg, tokenArg}
	batchArg  = argument{ // repeated; each member is checked when its turn comes
		key: "lease",
		print: func(c *Call) (list []string) {
			for _, l := range c.Leases {
				list = append(list, printActor(l.Actor)+","+printRef(l.Holder)+","+fmt.Sprint(uint64(l.Token)))
			}
			return list
		},
		parse: parseLease,
		show: func(t Text, c *Call) (list []string) {
			for i, l := range c.Leases {
				if i == maxRows && len(c.Leases) > maxRows+1 {
					return append(list, fmt.Sprintf("… %d leases", len(c.Leases)))
				}
				list = append(list, fmt.Sprintf("%s by %s token %d", t.Actor(l.Actor), t.Ref(l.Holder), l.Token))
			}
			return list
		},
	}
	seenArg = argument{
		key:   "seen",
		print: func(c *Call) []string { return printNumber(c.Seen) },
		parse: func(c *Call, s string) error { return parseNumber(&c.Seen, s) },
		show:  func(_ Text, c *Call) []string { return []string{fmt.Sprintf("seen version %d", c.Seen)} },
	}
	addressArg = argument{
		key:   "address",
		check: func(c *Call) error { return c.Info.Validate() },
		print: func(c *Call) []string { return unless(c.Info.Address == "", QuoteName(c.Info.Address)) },
		parse: func(c *Call, s string) (err error) { c.Info.Address, err = ParseName(s); return err },
		show:  func(Text, *Call) []string { return nil },
	}
	instanceArg = argument{
		key: "instance",
		print: func(c *Call) []string {
			return unless(c.Info.Instance.IsZero(), cmp.Or(strings.TrimLeft(c.Info.Instance.String(), "0"), "0"))
		},
		parse: func(c *Call, s string) (err error) {
			c.Info.Instance, err = registry.ParseInstanceID(strings.Repeat("0", max(0, 32-len(s))) + s)
			return err
		},
		show: func(t Text, c *Call) []string {
			return unless(c.Info.Instance.IsZero(), "instance "+t.Claim(registry.ClaimID(c.Info.Instance)))
		},
	}
	modeArg = argument{
		key:   "mode",
		check: func(c *Call) error { return c.Mode.Validate() },
		print: func(c *Call) []string { return unless(c.Mode == 0, c.Mode.String()) },
		parse: func(c *Call, s string) error { return parseChoice(&c.Mode, s) },
		show:  func(_ Text, c *Call) []string { return []string{c.Mode.String()} },
	}
	statusArg = argument{
		key:   "status",
		check: func(c *Call) error { return c.Status.Validate() },
		print: func(c *Call) []string { return unless(c.Status == 0, c.Status.String()) },
		parse: func(c *Call, s string) error { return parseChoice(&c.Status, s) },
		show:  func(_ Text, c *Call) []string { return []string{c.Status.String()} },
	}
	afterArg = argument{
		key:   "after",
		print: func(c *Call) []string { return unless(c.Page.After == "", QuoteName(string(c.Page.After))) },
		parse: func(c *Call, s string) error {
			after, err := ParseName(s)
			c.Page.After = registry.Cursor(after)
			return err
		},
		show: func(_ Text, c *Call) []string {
			return unless(c.Page.After == "", "after "+short(string(c.Page.After)))
		},
	}
	limitArg = argument{
		key:   "limit",
		check: func(c *Call) error { return c.Page.Validate() },
		print: func(c *Call) []string { return printNumber(c.Page.Limit) },
		parse: func(c *Call, s string) error { return parseNumber(&c.Page.Limit, s) },
		show: func(_ Text, c *Call) []string {
			return unless(c.Page.Limit == 0, fmt.Sprintf("limit %d", c.Page.Limit))
		},
	}
)

func unless(zero bool, text string) []string {
	if zero {
		return nil
	}
	return []string{text}
}

func printNumber[T ~uint64 | ~int](v T) []string { return unless(v == 0, fmt.Sprint(v)) }

func parseNumber[T ~uint64 | ~int](v *T, s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || uint64(T(n)) != n || T(n) < 0 {
		return fmt.Errorf("%q is not a number in range", s)
	}
	*v = T(n)
	return nil
}

// parseChoice reads one of a type's names.
func parseChoice[T interface {
	~uint8
	String() string
	Validate() error
}](v *T, s string) error {
	var names []string
	for x := T(0); x.Validate() == nil; x++ {
		if x.String() == s {
			*v = x
			return nil
		}
		names = append(names, x.String())
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
}

func printActor(a registry.ActorID) string { return QuoteName(a.Namespace) + "/" + QuoteName(a.Name) }

func parseActor(s string) (registry.ActorID, error) {
	n, err := span(s, "/")
	if err == nil && n < len(s) {
		namespace, err1 := ParseName(s[:n])
		name, err2 := ParseName(s[n+1:])
		if err1 == nil && err2 == nil {
			return registry.ActorID{Namespace: namespace, Name: name}, nil
		}
	}
	return registry.ActorID{}, fmt.Errorf("%q is not an actor: want namespace/name", s)
}

func printRef(r registry.NodeRef) string {
	if r.Epoch == 0 {
		return QuoteName(string(r.ID))
	}
	return QuoteName(string(r.ID)) + "#" + fmt.Sprint(uint64(r.Epoch))
}

func parseRef(s string) (registry.NodeRef, error) {
	n, err := span(s, "#")
	if err == nil {
		name, err1 := ParseName(s[:n])
		epoch, err2 := uint64(0), error(nil)
		if n < len(s) {
			epoch, err2 = strconv.ParseUint(s[n+1:], 10, 64)
		}
		if err1 == nil && err2 == nil && (n == len(s) || epoch > 0) {
			return registry.NodeRef{ID: registry.NodeID(name), Epoch: registry.Epoch(epoch)}, nil
		}
	}
	return registry.NodeRef{}, fmt.Errorf("%q is not a node: want a name, or name#epoch", s)
}

func parseLease(c *Call, s string) (err error) {
	var parts []string
	for rest := s; ; {
		n, err := span(rest, ",")
		if err != nil {
			return err
		}
		parts = append(parts, rest[:n])
		if n == len(rest) {
			break
		}
		rest = rest[n+1:]
	}
	if len(parts) != 3 {
		return fmt.Errorf("%q is not a lease: want namespace/name,node#epoch,token", s)
	}
	var l registry.Lease
	if l.Actor, err = parseActor(parts[0]); err != nil {
		return err
	}
	if l.Holder, err = parseRef(parts[1]); err != nil {
		return err
	}
	if err = parseNumber(&l.Token, parts[2]); err != nil {
		return err
	}
	c.Leases = append(c.Leases, l)
	return nil
}
