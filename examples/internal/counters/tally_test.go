package counters

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Two activations count as at once when the times of their requests overlap, and not
// when one begins after the other's last; a write is stale when a later activation
// has read the state.
func TestTally(t *testing.T) {
	var n tally
	write := func(actor, activation string, at int64, err error) {
		n.saved(Write{Actor: actor, Activation: activation, Accepted: at}, err)
	}
	n.loaded(Write{Actor: "a", Activation: "a1"}, nil)
	write("a", "a1", 1, nil)
	write("a", "a1", 5, nil)
	n.loaded(Write{Actor: "a", Activation: "a2"}, nil)
	write("a", "a2", 6, nil)
	assert.Equal(t, Tally{Activations: 2}, n.count())

	write("a", "a1", 7, errFenced)
	write("a", "a2", 8, nil)
	assert.Equal(t, Tally{Activations: 2, AtOnce: 1, StaleRefused: 1}, n.count(), "a1 began a request after one of a2's")

	n.loaded(Write{Actor: "b", Activation: "b1"}, nil)
	n.loaded(Write{Actor: "b", Activation: "b2"}, nil)
	write("b", "b1", 1, nil)
	assert.Equal(t, Tally{Activations: 4, AtOnce: 1, StaleRefused: 1, StaleAccepted: 1}, n.count(), "b2 has begun none")
	n.loaded(Write{Actor: "b", Activation: "b3"}, errFenced)
	assert.Equal(t, 4, n.count().Activations, "it read nothing")
}
