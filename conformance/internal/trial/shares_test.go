package trial_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// No case takes the time of those after it, and what one leaves is theirs.
func TestShares(t *testing.T) {
	at := func(s int) registry.Instant { return registry.Instant(0).Add(time.Duration(s) * time.Second) }
	one := trial.NewShares(at(60), 4)
	assert.Equal(t, at(15), one.Begin(at(0), 1))
	assert.Equal(t, at(20), one.Begin(at(0), 1), "the first has left its share")
	assert.Equal(t, at(40), one.Begin(at(20), 1))
	assert.Equal(t, at(60), one.Begin(at(50), 1))
	assert.Equal(t, at(70), one.Begin(at(70), 1), "nothing is left")

	two := trial.NewShares(at(60), 4)
	assert.Equal(t, at(30), two.Begin(at(0), 2))
	assert.Equal(t, at(40), two.Begin(at(0), 2))
	assert.Equal(t, at(60), two.Begin(at(30), 2))
	assert.Equal(t, at(60), two.Begin(at(40), 2))
}
