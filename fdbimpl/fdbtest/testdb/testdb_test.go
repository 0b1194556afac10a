//go:build fdb

package testdb

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A cluster is named by what its status says, and never by what it does not say.
func TestDescribe(t *testing.T) {
	assert.Equal(t, "FoundationDB 7.3.79, 1 process, single ssd-2, cluster file f",
		describe([]byte(`{"client":{},"cluster":{"configuration":{"redundancy_mode":"single","storage_engine":"ssd-2"},
			"processes":{"a":{"version":"7.3.79","address":"127.0.0.1:4689"}}}}`), "f"))
	assert.Equal(t, "FoundationDB 7.3.77 and 7.3.79, 3 processes, double ssd-2, cluster file f",
		describe([]byte(`{"cluster":{"configuration":{"redundancy_mode":"double","storage_engine":"ssd-2"},
			"processes":{"a":{"version":"7.3.79"},"b":{"version":"7.3.77"},"c":{"version":"7.3.79"}}}}`), "f"))
	for _, unreadable := range []string{"", "{}", "no status"} {
		assert.Equal(t, "FoundationDB of unknown version, cluster file f", describe([]byte(unreadable), "f"))
	}
}
