package counters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// call is one operation of the registry as JSON: what is asked, and the reading
// of the caller's clock.
type call struct {
	op.CallFields
	Now registry.Instant `json:"now,string"`
}

// Remote returns the registry behind url as a handle whose calls carry readings
// of the clock.
func Remote(url string, clock registry.Clock) registry.Handle {
	return op.Handle(func(ctx context.Context, c op.Call) op.Result {
		if c.Kind == op.Close {
			return op.Failed(nil) // there is nothing to close
		}
		var answer op.ResultFields
		if err := Post(ctx, url+"/registry", call{c.Fields(), clock.Now()}, &answer); err != nil {
			// It may have happened, and it may still happen: the request can be in
			// the store's socket.
			return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: err})
		}
		r, err := answer.Result(c.Kind)
		if err != nil {
			return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: err})
		}
		return r
	}, op.Powers{})
}

// Post sends a request as JSON and reads the answer into reply.
func Post(ctx context.Context, url string, body, reply any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return &statusError{resp.StatusCode, string(bytes.TrimSpace(why))}
	}
	return json.NewDecoder(resp.Body).Decode(reply)
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// Handle answers POST requests of one type of body with one type of reply.
func Handle[Q, A any](mux *http.ServeMux, path string, f func(*http.Request, Q) (A, error)) {
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

// Serve answers HTTP at an address until ctx ends.
func Serve(ctx context.Context, listen string, routes http.Handler) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	s := &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
