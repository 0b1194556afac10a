package reference

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// The contract's table of operations by example, worked out by hand from its words:
// who changes specification and reference alike is told here. TTL is 30, Grace 5, the
// skew 1, FailureTimeout 15. A line is a reading, a call and its answer: the reason of
// a refusal, or the actor's record or the node's registration as a success leaves it.
// A line without a reading says what follows, of an empty registry.
const examples = `
Claim: the node is active; nobody holds the actor, or its lease is reclaimable
   0 Claim n1/1 k1            ErrNodeUnknown
  10 RegisterNode n1          n1/1 active 10
  10 RegisterNode n2          n2/1 active 10
  10 Claim n1/2 k1            ErrNodeUnknown
  10 Claim n1/1 k1            n1/1 #1 v1 40
  46 Claim n2/1 k1            ErrHeld
  47 Claim n2/1 k1            n2/1 #2 v2 77
Claim and Transfer: Expiry = c+TTL, and the clock may have stepped back
  10 RegisterNode n1          n1/1 active 10
  10 Claim n1/1 k1            n1/1 #1 v1 40
  10 Release n1/1 #1          nobody #1 v2 40
   9 Claim n1/1 k2            n1/1 #2 v3 39
   8 Transfer n1/1 #2 n1/1    n1/1 #3 v4 38
   8 Release n1/1 #3          nobody #3 v5 38
   8 Release n1/1 #2          ErrFenced
the same again: its ClaimID and holder are the record's, and it has not lapsed
  10 RegisterNode n1          n1/1 active 10
  10 RegisterNode n2          n2/1 active 10
  10 Claim n1/1 k1            n1/1 #1 v1 40
  44 Claim n1/1 k1            n1/1 #1 v1 40
  44 Claim n1/1 k2            ErrHeld
  44 Claim n2/1 k1            ErrHeld
  44 DeregisterNode n1/1      n1/1 left 10
  44 Claim n1/1 k1            n1/1 #1 v1 40
  45 Claim n1/1 k1            ErrNodeUnknown
Claim: not by a node that failed, or was superseded
  10 RegisterNode n1          n1/1 active 10
  27 MarkFailed n1/1          n1/1 failed 10
  27 Claim n1/1 k1            ErrNodeFailed
  28 RegisterNode n1          n1/2 active 28
  28 Claim n1/1 k1            ErrNodeFailed
  28 Claim n1/2 k1            n1/2 #1 v1 58
Renew: Holder and Token are the record's; not lapsed
  10 RegisterNode n1          n1/1 active 10
  10 RegisterNode n2          n2/1 active 10
  10 Renew n1/1 #1            ErrNotHeld
  10 Claim n1/1 k1            n1/1 #1 v1 40
  20 Renew n1/1 #1            n1/1 #1 v2 50
  19 Renew n1/1 #1            n1/1 #1 v3 50
  54 Renew n1/2 #1            ErrNotHeld
  54 Renew n2/1 #1            ErrNotHeld
  54 Renew n1/1 #2            ErrNotHeld
  54 Renew n1/1 #1            n1/1 #1 v4 84
  89 Renew n1/1 #1            ErrLapsed
  89 Renew n2/1 #1            ErrNotHeld
  91 Claim n2/1 k2            n2/1 #2 v5 121
  91 Renew n1/1 #1            ErrFenced
Renew: whatever became of the node's registration
  10 RegisterNode n1          n1/1 active 10
  10 Claim n1/1 k1            n1/1 #1 v1 40
  27 MarkFailed n1/1          n1/1 failed 10
  44 Renew n1/1 #1            n1/1 #1 v2 74
Release: Holder and Token are the record's, whatever the clock says
  10 RegisterNode n1          n1/1 active 10
  10 RegisterNode n2          n2/1 active 10
  10 Release n1/1 #1          ErrNotHeld
  10 Release n1/1             ErrInvalid
  10 Claim n1/1 k1            n1/1 #1 v1 40
  10 Release n2/1 #1          ErrNotHeld
  10 Release n1/1 #2          ErrNotHeld
  99 Release n1/1 #1          nobody #1 v2 40
  99 Release n1/1 #1          nobody #1 v2 40
  99 Renew n1/1 #1            ErrNotHeld
  99 Claim n2/1 k2            n2/1 #2 v3 129
  99 Release n1/1 #1          ErrFenced
  99 Validate #1              ErrFenced
Transfer: Holder and Token are the record's; live; to is active
  10 RegisterNode n1          n1/1 active 10
  10 RegisterNode n2          n2/1 active 10
  10 Claim n1/1 k1            n1/1 #1 v1 40
  39 Transfer n1/1 #1 n3/1    ErrNodeUnknown
  39 Transfer n1/1 #1 n2/2    ErrNodeUnknown
  39 Transfer n2/1 #1 n2/1    ErrNotHeld
  39 Transfer n2/1 #1 n3/1    ErrNodeUnknown
  39 Transfer n1/1 #1 n2/1    n2/1 #2 v2 69
  39 Transfer n1/1 #1 n2/1    ErrFenced
  69 Transfer n2/1 #2 n1/1    ErrLapsed
  69 MarkFailed n1/1          n1/1 failed 10
  69 Transfer n2/1 #2 n1/1    ErrNodeFailed
Validate: somebody holds the actor, under that token
  10 Validate #1              ErrNotHeld
  10 RegisterNode n1          n1/1 active 10
  10 Claim n1/1 k1            n1/1 #1 v1 40
  99 Validate #1              n1/1 #1 v1 40
  99 Validate #2              ErrNotHeld
  99 Release n1/1 #1          nobody #1 v2 40
  99 Validate #1              ErrNotHeld
  99 Lookup                   nobody #1 v2 40
RegisterNode: no live registration, or supersede; the same again: the same instance
  10 RegisterNode n1 i1             n1/1 active 10
  11 RegisterNode n1 i2             ErrNodeExists
  11 RegisterNode n1                ErrNodeExists
  11 RegisterNode n1 i1             n1/1 active 10
  11 RegisterNode n1 i1 supersede   n1/1 active 10
  12 RegisterNode n1 i2 supersede   n1/2 active 12
  13 RegisterNode n1 i1             ErrNodeExists
  13 RegisterNode n1 supersede      n1/3 active 13
  14 RegisterNode n1 supersede      n1/4 active 14
  14 DeregisterNode n1/3            ErrNodeUnknown
  14 DeregisterNode n1/4            n1/4 left 14
  14 DeregisterNode n1/4            ErrNodeUnknown
  13 RegisterNode n1 i3             n1/5 active 13
  13 DeregisterNode n1/5            n1/5 left 13
  13 RegisterNode n1 i3             n1/6 active 13
Heartbeat: the incarnation is active
  10 Heartbeat n1/1           ErrNodeUnknown
  10 RegisterNode n1          n1/1 active 10
  20 Heartbeat n1/1           n1/1 active 20
  19 Heartbeat n1/1           n1/1 active 19
  19 Heartbeat n1/2           ErrNodeUnknown
  20 RegisterNode n1 supersede n1/2 active 20
  21 Heartbeat n1/1           ErrNodeFailed
  21 DeregisterNode n1/2      n1/2 left 20
  21 Heartbeat n1/2           ErrNodeUnknown
MarkFailed: c >= last seen + FailureTimeout + 2ε, or it is failed already
  10 MarkFailed n1/1          ErrNodeUnknown
  10 RegisterNode n1          n1/1 active 10
  26 MarkFailed n1/1          ErrNodeAlive
  27 MarkFailed n1/1          n1/1 failed 10
  10 MarkFailed n1/1          n1/1 failed 10
  27 MarkFailed n1/2          ErrNodeUnknown
  27 Heartbeat n1/1           ErrNodeFailed
  28 RegisterNode n1          n1/2 active 28
  28 MarkFailed n1/1          n1/2 active 28
  28 DeregisterNode n1/1      ErrNodeUnknown
  45 MarkFailed n1/2          n1/2 failed 28
  45 DeregisterNode n1/2      n1/2 left 28
  99 MarkFailed n1/2          ErrNodeUnknown
`

func TestTheContractByExample(t *testing.T) {
	cfg := registry.Config{TTL: 30, Grace: 5, MaxClockSkew: 1, FailureTimeout: 15, AllowShortTTL: true}
	var store *Store
	for i, line := range strings.Split(strings.TrimSpace(examples), "\n") {
		words := strings.Fields(line)
		now, err := strconv.Atoi(words[0])
		if err != nil {
			store, err = NewStore(cfg)
			require.NoError(t, err)
			continue
		}
		c, used := exampleCall(t, words[1:])
		got := (&handle{store: store, clock: fixedClock(registry.Instant(0).Add(time.Duration(now)))}).do(t.Context(), c)
		assert.Equal(t, strings.Join(words[1+used:], " "), exampleAnswer(store, c, got.Err), "line %d: %s", i+1, line)
	}
}

// exampleCall reads a call of actor a, and says how many words it has.
func exampleCall(t *testing.T, words []string) (c op.Call, used int) {
	c = op.Call{Kind: op.KindOf(words[0]), Actor: registry.ActorID{Namespace: "ns", Name: "a"}}
	require.NotZero(t, c.Kind, words)
	n := 1
	if c.Kind == op.RegisterNode {
		c.Node.ID = registry.NodeID(words[n])
		n++
	} else if strings.Contains(words[n], "/") {
		c.Node = exampleNode(t, words[n])
		n++
	}
	for ; n < len(words); n++ {
		switch w := words[n]; {
		case w == "supersede":
			c.Mode = registry.Supersede
		case w[0] == 'k':
			c.ClaimID = claimID(int(w[1] - '0'))
		case w[0] == 'i':
			c.Info.Instance = registry.InstanceID{15: w[1] - '0'}
		case w[0] == '#' && c.Token == 0 && c.Kind != op.Claim && c.Kind != op.Lookup:
			c.Token = registry.Token(w[1] - '0')
		case strings.Contains(w, "/") && c.Kind == op.Transfer && c.To.IsZero():
			c.To = exampleNode(t, w)
		default:
			return c, n
		}
	}
	return c, n
}

func exampleNode(t *testing.T, s string) registry.NodeRef {
	name, epoch, _ := strings.Cut(s, "/")
	e, err := strconv.Atoi(epoch)
	require.NoError(t, err, s)
	return registry.NodeRef{ID: registry.NodeID(name), Epoch: registry.Epoch(e)}
}

func exampleAnswer(store *Store, c op.Call, err error) string {
	if err != nil {
		return fmt.Sprint(op.ReasonOf(err))
	}
	if c.Kind.OfNode() {
		m, _ := store.members.get(c.Node.ID)
		return fmt.Sprintf("%s/%d %v %d", m.Ref.ID, m.Ref.Epoch, m.Status, m.LastSeen)
	}
	r, _ := store.records.get(c.Actor)
	holder := "nobody"
	if r.Held() {
		holder = fmt.Sprintf("%s/%d", r.Holder.ID, r.Holder.Epoch)
	}
	return fmt.Sprintf("%s #%d v%d %d", holder, r.Token, r.Version, r.Expiry)
}

// refusalsInTheContract reads the last column of the contract's table of operations.
func refusalsInTheContract(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../docs/contract.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| operation | succeeds when | effect | refused with |\n")
	require.True(t, found)
	said := map[string][]string{}
	for _, row := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(row, " | ")
		if len(cells) != 4 {
			break
		}
		name, _, _ := strings.Cut(strings.Trim(cells[0], "| `"), "(")
		refusals := refusalName.FindAllString(cells[3], -1)
		if strings.Contains(cells[3], "as Renew") {
			refusals = append(refusals, said["Renew"]...)
		}
		if slices.Sort(refusals); len(refusals) > 0 {
			said[name] = refusals
		}
	}
	return said
}

var refusalName = regexp.MustCompile(`Err\w+`)
