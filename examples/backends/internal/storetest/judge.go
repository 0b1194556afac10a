package storetest

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Store is what the judgement needs to know about a store.
type Store struct {
	Name    string // in reports
	Program Program
	Dial    func(addr string) (Client, error)
	Wire    Wire
}

// Client is one process's way to a server. It is safe for concurrent use.
type Client interface {
	Open(cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error)
	Drop(cluster string) error // removes everything of the cluster
	Close() error
}

// The flags that the replay line of a conviction sets.
var (
	onlyCase  = flag.String("judge.case", "", "judge only the case `section/name`")
	seed      = flag.Uint64("judge.seed", 1, "seed of every case that draws")
	histories = flag.Int("judge.histories", 0, "histories of every case that draws; 0: as many as the test says")
)

// side is how many cases are judged side by side. Most of the time of a call is
// waiting for the server, and each cluster has a name of its own.
const side = 6

// Conformance judges everything that needs neither a crash nor a fault.
func Conformance(t *testing.T, s Store) *conformance.Report {
	server := Start(t, s.Program)
	client := dial(t, s, server.Addr)
	b := &backend{name: s.Name, cluster: func(name string) (conformance.Cluster, error) { return cluster{client, name}, nil }}
	var sections []string
	for _, section := range conformance.Sections() {
		if section.Name != "durable" && section.Name != "faults" {
			sections = append(sections, section.Name)
		}
	}
	return Judge(t, b, conformance.OnlySections(sections...), conformance.Parallel(side))
}

// Durable judges the section durable: the server is killed, again and again.
func Durable(t *testing.T, s Store, opts ...conformance.Option) *conformance.Report {
	server := Start(t, s.Program)
	var restarts atomic.Int64
	b := &backend{name: s.Name, cluster: func(name string) (conformance.Cluster, error) {
		client, err := s.Dial(server.Addr)
		return &mortal{cluster: cluster{client, name}, store: s, server: server, restarts: &restarts}, err
	}}
	// One server, one case at a time: a restart is everybody's.
	report := Judge(t, b, append(opts, conformance.OnlySections("durable"), conformance.Parallel(1))...)
	t.Logf("%s was killed and started again %d times", s.Name, restarts.Load())
	return report
}

// Faults judges the section faults: a network that loses requests and answers.
func Faults(t *testing.T, s Store) *conformance.Report {
	server := Start(t, s.Program)
	direct := dial(t, s, server.Addr)
	tally := &tally{befell: map[trouble]int{}, told: map[op.Outcome]int{}}
	b := &backend{name: s.Name, cluster: func(name string) (conformance.Cluster, error) {
		p, err := NewProxy(server.Addr, s.Wire)
		return &troubled{Proxy: p, store: s, direct: direct, name: name, tally: tally}, err
	}}
	report := Judge(t, b, conformance.OnlySections("faults"), conformance.Parallel(side))
	t.Logf("what befell %s: %v; what its callers were told of changes: %v", s.Name, tally.befell, tally.told)
	for _, kind := range []trouble{unavailable, lostRequest, lostAnswer, late} {
		if *onlyCase == "" {
			require.Positive(t, tally.befell[kind], "no %s: nothing was tested", kind)
		}
	}
	return report
}

func dial(t *testing.T, s Store, addr string) Client {
	client, err := s.Dial(addr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// Judge judges the backend, logs every verdict, and adds a line to the table of run.sh.
func Judge(t *testing.T, b conformance.Backend, opts ...conformance.Option) *conformance.Report {
	t.Helper()
	opts = append(opts, conformance.Seeds(*seed), conformance.Reproduce(func(section, name string, seed uint64) string {
		return fmt.Sprintf("go test -run '^%s$' . -judge.case %s/%s -judge.seed %d -judge.histories 1", t.Name(), section, name, seed)
	}))
	if *onlyCase != "" {
		opts = append(opts, conformance.OnlyCases(regexp.MustCompile("^"+regexp.QuoteMeta(*onlyCase)+"$")))
	}
	if *histories > 0 {
		opts = append(opts, conformance.Histories(*histories))
	}
	report, err := conformance.Judge(t.Context(), b, opts...)
	require.NoError(t, err)
	for _, c := range report.Cases {
		t.Logf("%-9s %-28s %5d histories %7d operations %7.2f s %s", c.Verdict, c.ID(), c.Histories, c.Operations, c.Duration.Seconds(), c.Reason)
		if c.Conviction != nil {
			t.Logf("\n== %s\n%s", c.ID(), c.Conviction)
		}
	}
	require.NoError(t, tabulate(t.Name(), report))
	return report
}

// Passes fails the test unless every case of the report passed or is about
// something that a registry need not have.
func Passes(t *testing.T, report *conformance.Report) {
	t.Helper()
	optional := []conformance.Capability{conformance.BatchRenew, conformance.Watch, conformance.YieldPoints, conformance.Instances, conformance.Seeding, conformance.Purging}
	for _, c := range report.Cases {
		has := func(need conformance.Capability) bool { return slices.Contains(optional, need) }
		switch {
		case c.Verdict == conformance.Pass:
		case c.Verdict == conformance.Skipped && slices.ContainsFunc(needs(c), has):
		default:
			t.Errorf("%s: %s %s", c.ID(), c.Verdict, c.Reason)
		}
	}
}

func needs(c conformance.CaseResult) []conformance.Capability {
	for _, s := range conformance.Sections() {
		for _, known := range s.Cases {
			if s.Name == c.Section && known.Name == c.Name {
				return known.Needs
			}
		}
	}
	return nil
}

// tabulate appends a row of the table to the file that run.sh names.
func tabulate(test string, r *conformance.Report) error {
	name := os.Getenv("STORETEST_TABLE")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	verdict, histories, operations := "passes", 0, 0
	for _, v := range []conformance.Verdict{conformance.Unknown, conformance.Convicted} {
		if n := r.Count(v); n > 0 {
			verdict = fmt.Sprintf("%s, %d cases", strings.ToUpper(string(v)), n)
		}
	}
	for _, c := range r.Cases {
		histories += c.Histories
		operations += c.Operations
	}
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%.1f s\n", r.Backend, test, verdict,
		len(r.Cases)-r.Count(conformance.Skipped), r.Count(conformance.Skipped), histories, operations, r.Duration.Seconds())
	return cmp.Or(err, f.Close())
}

// backend is a conformance.Backend of clusters with names of their own.
type backend struct {
	name    string
	cluster func(name string) (conformance.Cluster, error)
	made    atomic.Int64
}

func (b *backend) Name() string { return b.name }

func (b *backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.cluster(fmt.Sprintf("judged-%d-%d", os.Getpid(), b.made.Add(1)))
	if err != nil {
		return nil, err
	}
	h, err := c.Open(cfg, registry.SystemClock()) // the first to come creates it
	if err != nil {
		return nil, err
	}
	return c, h.Close()
}

// RealTime returns a backend of the same clusters whose time the suite cannot move.
func RealTime(t *testing.T, s Store, cfg registry.Config) conformance.Backend {
	client := dial(t, s, Start(t, s.Program).Addr)
	b := &backend{name: s.Name, cluster: func(name string) (conformance.Cluster, error) { return cluster{client, name}, nil }}
	return realTime{b, cfg}
}

type realTime struct {
	*backend
	cfg registry.Config
}

// RealTimeConfig implements [conformance.RealTime].
func (b realTime) RealTimeConfig() registry.Config { return b.cfg }

// cluster is the part of a store under one name.
type cluster struct {
	client Client
	name   string
}

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.client.Open(c.name, cfg, clock)
}

func (c cluster) Close() error { return c.client.Drop(c.name) }

// mortal is a cluster whose server is killed.
type mortal struct {
	cluster
	store    Store
	server   *Server
	restarts *atomic.Int64
}

// Restart implements [conformance.Restarter]: the clients die with the server.
func (c *mortal) Restart() (err error) {
	c.restarts.Add(1)
	_ = c.client.Close()
	if err := c.server.Restart(); err != nil {
		return err
	}
	c.client, err = c.store.Dial(c.server.Addr)
	return err
}

func (c *mortal) Close() error { return errors.Join(c.cluster.Close(), c.client.Close()) }

// troubled is a cluster behind a network that fails. Every handle has a client of
// its own, as every process has, so that a broken connection is one handle's.
type troubled struct {
	*Proxy // implements conformance.FaultInjector
	store  Store
	direct Client
	name   string
	tally  *tally

	mu        sync.Mutex // guards the rest
	clients   []Client
	recorders []*history.Recorder
}

func (c *troubled) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	client, err := c.store.Dial(c.Addr())
	if err != nil {
		return nil, err
	}
	h, err := client.Open(c.name, cfg, clock)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	r := history.NewRecorder(cfg)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients, c.recorders = append(c.clients, client), append(c.recorders, r)
	return r.Wrap("handle", h), nil
}

func (c *troubled) Close() error {
	err := c.Proxy.Close() // nothing late arrives from now on
	for _, client := range c.clients {
		err = errors.Join(err, client.Close())
	}
	c.tally.add(c)
	return errors.Join(err, c.direct.Drop(c.name))
}

// tally counts what befell all clusters and what their callers were told.
type tally struct {
	mu     sync.Mutex
	befell map[trouble]int
	told   map[op.Outcome]int
}

func (a *tally) add(c *troubled) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind, n := range c.befallen() {
		a.befell[kind] += n
	}
	for _, r := range c.recorders {
		for _, o := range r.History().Ops {
			if o.Call.Kind.Mutates() {
				a.told[o.Result.Outcome]++
			}
		}
	}
}

// timeout bounds the calls that the judgement itself makes.
const timeout = 10 * time.Second

// Bounded returns a context for them.
func Bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}
