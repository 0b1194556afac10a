// Package counters is what the examples' actor hosts stand on: one process that has
// the registry and the actors' state, both behind HTTP, and a tally of which
// activations worked when.
package counters

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
)

// Counter is an actor's durable state.
type Counter struct {
	Token registry.Token    // the highest tenure that has read or written it
	Value int64             //
	Done  map[string]uint64 // by client, the last increment that is in Value
}

// Store is the process that everybody trusts: the registry, and the actors'
// state behind a fence.
type Store struct {
	Backing
	cfg   registry.Config
	tally tally
}

// Backing is what a store keeps the registry and the actors' state in.
type Backing interface {
	// Registry opens a handle of the registry for one call.
	Registry(cfg registry.Config, clock registry.Clock) (registry.Handle, error)
	// Update changes an actor's state in one transaction. change is given what is stored,
	// nil for nothing, and returns what is to be; it may be called again. Its error is
	// returned, and nothing is stored then.
	Update(actor string, change func(stored []byte) ([]byte, error)) error
	Close() error
}

// New returns a store in a backing.
func New(cfg registry.Config, in Backing) *Store { return &Store{Backing: in, cfg: cfg} }

// files keeps the registry in one file and the state in another.
type files struct {
	registry *memimpl.Store
	state    *bbolt.DB
}

var counters = []byte("counters")

// Open opens a store in the files of a folder, or makes them.
func Open(dir string, cfg registry.Config) (*Store, error) {
	r, err := memimpl.New(cfg, memimpl.OnFile(filepath.Join(dir, "registry.db")))
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "state.db"), 0o644, nil)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(counters)
		return err
	})
	return New(cfg, files{r, db}), err
}

func (f files) Registry(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return f.registry.Open(cfg, clock)
}

func (f files) Update(actor string, change func(stored []byte) ([]byte, error)) error {
	return f.state.Batch(func(tx *bbolt.Tx) error {
		b := tx.Bucket(counters)
		text, err := change(b.Get([]byte(actor)))
		if err != nil {
			return err
		}
		return b.Put([]byte(actor), text)
	})
}

func (f files) Close() error { return errors.Join(f.registry.Close(), f.state.Close()) }

// Routes are what Remote, Load, Save and Count ask.
func (s *Store) Routes() http.Handler {
	mux := http.NewServeMux()
	Handle(mux, "/registry", func(r *http.Request, c call) (op.ResultFields, error) {
		asked, err := c.Call()
		if err != nil {
			return op.ResultFields{}, err
		}
		h, err := s.Registry(s.cfg, registry.NewManualClock(c.Now)) // the caller's reading is this call's clock
		if err != nil {
			return op.ResultFields{}, err
		}
		defer h.Close()
		result := op.Do(r.Context(), h, &asked)
		return result.Fields(), nil
	})
	Handle(mux, "/load", func(_ *http.Request, w Write) (Counter, error) { return s.load(w) })
	Handle(mux, "/save", func(_ *http.Request, w Write) (Counter, error) { return s.save(w) })
	Handle(mux, "/tally", func(*http.Request, struct{}) (Tally, error) { return s.tally.count(), nil })
	return mux
}

// Write is a request about an actor's state by an activation of it.
type Write struct {
	Actor      string
	Token      registry.Token // 0: the activation has none, and nothing is fenced
	Activation string         // its name, for the tally
	Accepted   int64          // when the activation began the request, on the machine's clock; ns
	Counter    Counter
}

var errFenced = errors.New("fenced: a later tenure has taken the state over")

// load reads the state for a tenure and raises the fence to its token. From
// then on no write of an earlier tenure is accepted: what the tenure builds on
// is what it has read. Without the raise an earlier tenure's write could still
// land between this read and the new tenure's first write, and be overwritten.
func (s *Store) load(w Write) (c Counter, err error) {
	c, err = s.update(w, func(*Counter) {})
	s.tally.loaded(w, err)
	return c, err
}

// save writes the state, unless a later tenure has read or written it.
func (s *Store) save(w Write) (Counter, error) {
	c, err := s.update(w, func(c *Counter) { c.Value, c.Done = w.Counter.Value, w.Counter.Done })
	s.tally.saved(w, err)
	return c, err
}

// update changes one actor's state in one transaction that checks the fence.
func (s *Store) update(w Write, change func(*Counter)) (c Counter, err error) {
	err = s.Update(w.Actor, func(stored []byte) ([]byte, error) {
		c = Counter{}
		if stored != nil {
			if err := json.Unmarshal(stored, &c); err != nil {
				return nil, err
			}
		}
		if w.Token < c.Token {
			return nil, errFenced
		}
		c.Token = w.Token
		change(&c)
		return json.Marshal(c)
	})
	if errors.Is(err, errFenced) {
		slog.Warn("stale write refused by the fence", "actor", w.Actor, "token", w.Token, "fence", c.Token)
	}
	return c, err
}
