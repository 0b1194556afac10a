package memimpl

import (
	"flag"
	"os"
	"testing"
)

// TestMain asks for more and longer sequences than rapid's default; -rapid.checks
// and -rapid.steps override. As the crash tests' child it serves a store instead.
func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		serveChild(path)
		return
	}
	for name, value := range map[string]string{"rapid.checks": "200", "rapid.steps": "60"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
