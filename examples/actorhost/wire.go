package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// call is one operation of the registry as JSON: what is asked, and the reading
// of the caller's clock.
type call struct {
	op.CallFields
	Now registry.Instant `json:"now,string"`
}

// remote returns the registry behind url as a handle whose calls carry readings
// of the clock.
func remote(url string, clock registry.Clock) registry.Handle {
	return op.Handle(func(ctx context.Context, c op.Call) op.Result {
		if c.Kind == op.Close {
			return op.Failed(nil) // there is nothing to close
		}
		var answer op.ResultFields
		if err := post(ctx, url+"/registry", call{c.Fields(), clock.Now()}, &answer); err != nil {
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

// post sends a request as JSON and reads the answer into reply.
func post(ctx context.Context, url string, body, reply any) error {
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
