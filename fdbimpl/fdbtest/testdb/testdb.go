//go:build fdb

package testdb

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// describe names a cluster by its status document.
func describe(status []byte, clusterFile string) string {
	var s struct {
		Cluster struct {
			Processes map[string]struct{ Version string }
			Layout    struct {
				Redundancy string `json:"redundancy_mode"`
				Engine     string `json:"storage_engine"`
			} `json:"configuration"`
		}
	}
	if err := json.Unmarshal(status, &s); err != nil || len(s.Cluster.Processes) == 0 {
		return fmt.Sprintf("FoundationDB of unknown version, cluster file %s", clusterFile)
	}
	versions := map[string]bool{}
	for _, p := range s.Cluster.Processes {
		versions[p.Version] = true
	}
	processes := "1 process"
	if n := len(s.Cluster.Processes); n > 1 {
		processes = fmt.Sprintf("%d processes", n)
	}
	return fmt.Sprintf("FoundationDB %s, %s, %s %s, cluster file %s", strings.Join(slices.Sorted(maps.Keys(versions)), " and "),
		processes, s.Cluster.Layout.Redundancy, s.Cluster.Layout.Engine, clusterFile)
}
