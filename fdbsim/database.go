package fdbsim

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
)

// registry finds clusters by the name that a cluster file parameter gives.
var registry = struct {
	sync.Mutex
	byName map[string]*Cluster
	last   int
}{byName: make(map[string]*Cluster)}

// NewCluster makes an isolated cluster that databases can be opened on until it is closed.
func NewCluster(cfg Config) *Cluster {
	registry.Lock()
	defer registry.Unlock()
	registry.last++
	name := fmt.Sprintf("fdbsim:%d", registry.last)
	c := newCluster(name, cfg)
	registry.byName[name] = c
	return c
}

// ClusterFile is the name under which Open, and so the C entry points and the binding, find the
// cluster. It is not the path of a file.
func (c *Cluster) ClusterFile() string { return c.name }

// Close forgets the cluster's name. Databases opened before stay usable.
func (c *Cluster) Close() {
	registry.Lock()
	defer registry.Unlock()
	delete(registry.byName, c.name)
}

// Default is the cluster that an empty cluster file name opens: a healthy one with seed 0.
func Default() *Cluster { return lookup("") }

func lookup(name string) *Cluster {
	registry.Lock()
	defer registry.Unlock()
	c := registry.byName[name]
	if c == nil {
		c = newCluster(name, Config{})
		registry.byName[name] = c
	}
	return c
}

// connectionString is description:id@coordinator,coordinator…
var connectionString = regexp.MustCompile(`^[A-Za-z0-9_]+:[A-Za-z0-9]+@[^@,\s]+:\d+(:tls)?(,[^@,\s]+:\d+(:tls)?)*$`)

// Open opens a database on the cluster of that name: the empty name is Default, a name from
// ClusterFile is that cluster, anything else is the path of a cluster file, whose connection string
// names the cluster. As with the real library opening never fails: a database with an unreadable or
// malformed file refuses every operation (row N07).
func Open(clusterFile string) *Database {
	registry.Lock()
	c := registry.byName[clusterFile]
	registry.Unlock()
	if c != nil || clusterFile == "" {
		return lookup(clusterFile).OpenDatabase()
	}
	text, err := os.ReadFile(clusterFile)
	if err != nil {
		return refusingDatabase(codeNoClusterFile)
	}
	return OpenConnectionString(string(text))
}

// OpenConnectionString opens a database on the cluster that the connection string names.
func OpenConnectionString(text string) *Database {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if connectionString.MatchString(line) {
			return lookup(line).OpenDatabase()
		}
		break
	}
	return refusingDatabase(codeConnectionStringInvalid)
}

func refusingDatabase(code Code) *Database {
	c := newCluster("", Config{})
	c.refusal = code
	return c.OpenDatabase()
}

// Database is one client's handle on a cluster: the defaults of its transactions and its watches.
type Database struct {
	c          *Cluster
	defaults   settings
	deferred   Code
	maxWatches int64
	watching   int64
}

// OpenDatabase opens one more database handle.
func (c *Cluster) OpenDatabase() *Database {
	return &Database{c: c, defaults: defaultSettings(), maxWatches: 10_000}
}

// Cluster is the cluster the database is on.
func (d *Database) Cluster() *Cluster { return d.c }

// CreateTransaction starts a transaction. Its timeout, if the database has one, runs from now.
func (d *Database) CreateTransaction() *Transaction {
	tr := &Transaction{c: d.c, db: d, committedVersion: -1}
	d.c.do(func() {
		d.c.lastTxn++
		tr.id = d.c.lastTxn
		tr.restart()
	})
	return tr
}
