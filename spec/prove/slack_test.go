package prove

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shelves is a machine with all that a step can do otherwise: a number, a set, and a
// function of functions to records.
const shelves = `EXTENDS Integers
CONSTANTS Rooms, Shelves, Limit, Dropped, Bugs
VARIABLES books, lent, day
ASSUME Constants == Rooms \subseteq STRING /\ Shelves \subseteq STRING /\ Limit \in Nat /\ Dropped \subseteq STRING /\ Bugs \subseteq STRING
Types == /\ books \in [Rooms -> [Shelves -> [count : Int, open : BOOLEAN]]]
         /\ lent \subseteq Rooms
         /\ day \in Int
Init == books = [r \in Rooms |-> [s \in Shelves |-> [count |-> 0, open |-> TRUE]]] /\ lent = {} /\ day = 0
Put(r, s) == /\ books' = [books EXCEPT ![r][s].count = @ + 1]
             /\ lent' = lent \cup {r}
             /\ UNCHANGED day
Sleep == day' = day + 1 /\ UNCHANGED <<books, lent>>
Next == Sleep \/ \E r \in Rooms, s \in Shelves : Put(r, s)
Later == day >= 0
PutSteps ==
  [][\A r \in Rooms, s \in Shelves : Put(r, s) =>
       /\ books'[r][s].count = books[r][s].count + 1 /\ books'[r][s].open = books[r][s].open
       /\ \A q \in Rooms, t \in Shelves : <<q, t>> # <<r, s>> => books'[q][t] = books[q][t]
       /\ lent' = lent \cup {r}
       /\ day' = day]_<<books, lent, day>>
SleepSteps == [][Sleep => day' = day + 1 /\ UNCHANGED <<books, lent>>]_<<books, lent, day>>
`

// A table of steps says all that a step does: what it leaves open is named, and what is
// called open and is not.
func TestATableNoticesWhateverElseAStepDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("each module is exported by a run of Java; make prove has them all")
	}
	for name, c := range map[string]struct {
		old, new string
		loose    map[string]string
		want     []string
	}{
		"complete":             {},
		"another place":        {old: `/\ \A q \in Rooms, t \in Shelves : <<q, t>> # <<r, s>> => books'[q][t] = books[q][t]`, want: []string{"Put/books.count elsewhere", "Put/books.open elsewhere"}},
		"its own place":        {old: `books'[r][s].count = books[r][s].count + 1 /\ `, want: []string{"Put/books.count here"}},
		"a set":                {old: `/\ lent' = lent \cup {r}` + "\n       ", want: []string{"Put/lent"}},
		"a number":             {old: "\n       /\\ day' = day]", new: "]", want: []string{"Put/day"}},
		"an action":            {old: "SleepSteps == [][Sleep =>", new: "SleepSteps == [][day' = day + 1 =>", want: []string{"Sleep"}},
		"with a reason":        {old: "\n       /\\ day' = day]", new: "]", loose: map[string]string{"Put/day": "nobody looks"}},
		"without a reason":     {old: "\n       /\\ day' = day]", new: "]", loose: map[string]string{"Put/day": " "}, want: []string{"Put/day"}},
		"an action and why":    {old: "SleepSteps == [][Sleep =>", new: "SleepSteps == [][day' = day + 1 =>", loose: map[string]string{"Sleep": "of no interest"}},
		"called so and is not": {loose: map[string]string{"Put/day": "nobody looks"}, want: []string{"Put/day"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := shelves
			if c.old != "" {
				require.Contains(t, text[strings.Index(text, "PutSteps"):], c.old)
				head, steps := text[:strings.Index(text, "PutSteps")], text[strings.Index(text, "PutSteps"):]
				text = head + strings.Replace(steps, c.old, c.new, 1)
			}
			results, err := Run(t.Context(), folder(t, text, Proof{
				Invariant: []string{"Types", "Later"}, Properties: []string{"PutSteps", "SleepSteps"},
				Failures: []Failure{{Without: "Later", Action: "Sleep", Breaks: "Later"}},
				Tables:   []string{"PutSteps", "SleepSteps"}, Loose: c.loose, Redundant: map[string]string{
					"Types/books": "a type", "Types/lent": "a type", "Types/day": "a type",
				},
			}), solver(t))
			if len(c.want) > 0 {
				require.ErrorIs(t, err, ErrNotProved)
			} else {
				require.NoError(t, err)
			}
			require.Len(t, results[0].Problems, len(c.want), "%v", results[0].Problems)
			for i, problem := range results[0].Problems {
				assert.Contains(t, problem, c.want[i])
			}
		})
	}
}
