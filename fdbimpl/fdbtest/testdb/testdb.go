//go:build fdb

package testdb

import (
	"crypto/rand"
	"sync"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
)

// opening guards the binding's table of open databases, which is not safe for
// concurrent use.
var opening sync.Mutex

func open(clusterFile string) (fdb.Database, error) {
	opening.Lock()
	defer opening.Unlock()
	if err := fdb.APIVersion(730); err != nil {
		return fdb.Database{}, err
	}
	return fdb.OpenDatabase(clusterFile)
}

// RandomPrefix returns a prefix that nobody else uses.
func RandomPrefix() tuple.Tuple {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails: crypto/rand ends the process instead
	return tuple.Tuple{"kelpie-registry-test", id}
}
