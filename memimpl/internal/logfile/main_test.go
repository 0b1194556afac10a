package logfile_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain makes room for many small files: with the default the tests spend a
// third of their time collecting them.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}
