package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
)

// counter is an actor's durable state.
type counter struct {
	Token registry.Token    // the highest tenure that has read or written it
	Value int64             //
	Done  map[string]uint64 // by client, the last increment that is in Value
}

// store is the process that everybody trusts: the registry, and the actors'
// state behind a fence.
type store struct {
	registry *memimpl.Store
	state    *bbolt.DB
}

var counters = []byte("counters")

func openStore(dir string) (*store, error) {
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
	return &store{registry: r, state: db}, err
}

// Close closes both files.
func (s *store) Close() error { return errors.Join(s.registry.Close(), s.state.Close()) }

func (s *store) routes() http.Handler {
	mux := http.NewServeMux()
	handle(mux, "/registry", func(r *http.Request, c call) (op.ResultFields, error) {
		asked, err := c.Call()
		if err != nil {
			return op.ResultFields{}, err
		}
		h, err := s.registry.Open(cfg, registry.NewManualClock(c.Now)) // the caller's reading is this call's clock
		if err != nil {
			return op.ResultFields{}, err
		}
		defer h.Close()
		result := op.Do(r.Context(), h, &asked)
		return result.Fields(), nil
	})
	handle(mux, "/load", func(_ *http.Request, w write) (counter, error) { return s.load(w) })
	handle(mux, "/save", func(_ *http.Request, w write) (counter, error) { return s.save(w) })
	return mux
}

// write is a request about an actor's state by a tenure.
type write struct {
	Actor   string
	Token   registry.Token
	Counter counter
}

var errFenced = errors.New("fenced: a later tenure has taken the state over")

// load reads the state for a tenure and raises the fence to its token. From
// then on no write of an earlier tenure is accepted: what the tenure builds on
// is what it has read. Without the raise an earlier tenure's write could still
// land between this read and the new tenure's first write, and be overwritten.
func (s *store) load(w write) (c counter, err error) {
	return s.update(w, func(*counter) {})
}

// save writes the state, unless a later tenure has read or written it.
func (s *store) save(w write) (counter, error) {
	return s.update(w, func(c *counter) { c.Value, c.Done = w.Counter.Value, w.Counter.Done })
}

// update changes one actor's state in one transaction that checks the fence.
func (s *store) update(w write, change func(*counter)) (c counter, err error) {
	err = s.state.Batch(func(tx *bbolt.Tx) error {
		b := tx.Bucket(counters)
		c = counter{}
		if text := b.Get([]byte(w.Actor)); text != nil {
			if err := json.Unmarshal(text, &c); err != nil {
				return err
			}
		}
		if w.Token < c.Token {
			return errFenced
		}
		c.Token = w.Token
		change(&c)
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		return b.Put([]byte(w.Actor), text)
	})
	if errors.Is(err, errFenced) {
		slog.Warn("stale write refused by the fence", "actor", w.Actor, "token", w.Token, "fence", c.Token)
	}
	return c, err
}

// handle answers POST requests of one type of body with one type of reply.
func handle[Q, A any](mux *http.ServeMux, path string, f func(*http.Request, Q) (A, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
			http.Error(w, fmt.Sprintf("bad request: %v", err), http.StatusBadRequest)
			return
		}
		a, err := f(r, q)
		switch {
		case errors.Is(err, errFenced):
			http.Error(w, err.Error(), http.StatusConflict)
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		default:
			_ = json.NewEncoder(w).Encode(a)
		}
	})
}
