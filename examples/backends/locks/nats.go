package locks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kelpie-registry/registry/adapt"
)

// NATS adapts a key-value bucket of NATS JetStream, whose revisions are the sequence
// numbers of its stream, as a directory. A key that was deleted keeps a marker, so that
// revisions only grow.
func NATS(kv jetstream.KeyValue, prefix string) adapt.Directory {
	in := func(key string) string { return prefix + "." + hex.EncodeToString([]byte(key)) }
	return adapt.Directory{
		Register: func(ctx context.Context, key string, value []byte, was uint64) (revision uint64, err error) {
			if was == 0 {
				revision, err = kv.Create(ctx, in(key), value)
			} else {
				revision, err = kv.Update(ctx, in(key), value, was)
			}
			return revision, moved(err)
		},
		Unregister: func(ctx context.Context, key string, was uint64) error {
			return moved(kv.Delete(ctx, in(key), jetstream.LastRevision(was)))
		},
		Lookup: func(ctx context.Context, key string) ([]byte, uint64, bool, error) {
			e, err := kv.Get(ctx, in(key))
			if err != nil {
				return nil, 0, false, as(err, jetstream.ErrKeyNotFound, nil)
			}
			return e.Value(), e.Revision(), true, nil
		},
		List: func(ctx context.Context, entry func(string, []byte, uint64)) error {
			w, err := kv.Watch(ctx, prefix+".*", jetstream.IgnoreDeletes())
			if err != nil {
				return err
			}
			defer func() { _ = w.Stop() }()
			for {
				select {
				case e := <-w.Updates():
					if e == nil {
						return nil // what was there has been told
					}
					key, err := hex.DecodeString(strings.TrimPrefix(e.Key(), prefix+"."))
					if err != nil {
						return fmt.Errorf("%s is no key of this cluster: %w", e.Key(), err)
					}
					entry(string(key), e.Value(), e.Revision())
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		},
	}
}

// moved returns ErrChanged for what JetStream says of another revision.
func moved(err error) error {
	var api *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return adapt.ErrChanged
	}
	return err
}
