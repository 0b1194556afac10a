package locks

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
)

// etcdSlow is how much later than it is told a lease of etcd may end: it is looked at
// twice a second, and was granted a little later.
const etcdSlow = 1500 * time.Millisecond

// session returns a session that nothing but Renew keeps alive.
func session(client *clientv3.Client, ttl time.Duration) (*concurrency.Session, error) {
	s, err := concurrency.NewSession(client, concurrency.WithTTL(int(ttl/time.Second)))
	if err == nil {
		s.Orphan()
	}
	return s, err
}

// refresh keeps a session's lease, which outlives what the session has released: so
// it asks also whether the key is still this tenure's.
func refresh(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID, owner clientv3.Cmp) error {
	_, err := client.KeepAliveOnce(ctx, id)
	if err != nil && strings.Contains(err.Error(), "requested lease not found") {
		return registry.ErrNotHeld
	}
	if err != nil {
		return err
	}
	r, err := client.Txn(ctx).If(owner).Commit()
	if err == nil && !r.Succeeded {
		err = registry.ErrNotHeld
	}
	return err
}

// first is the oldest key of a lock or an election: its holder's.
func first(ctx context.Context, client *clientv3.Client, key string) (owner, id string, revision uint64, err error) {
	r, err := client.Get(ctx, key+"/", clientv3.WithFirstCreate()...)
	if err != nil || len(r.Kvs) == 0 {
		return "", "", 0, err
	}
	return string(r.Kvs[0].Value), strings.TrimPrefix(string(r.Kvs[0].Key), key+"/"), uint64(r.Kvs[0].CreateRevision), nil
}

// Mutex adapts go.etcd.io/etcd/client/v3/concurrency.Mutex. Its token is the revision
// of its key. The mutex does not say who holds it: the adapter remembers which lease
// it made for whom.
func Mutex(client *clientv3.Client, prefix string, ttl time.Duration) adapt.Lock[*EtcdMutex] {
	var owners sync.Map
	return adapt.Lock[*EtcdMutex]{
		Acquire: func(ctx context.Context, key, owner string) (*EtcdMutex, adapt.Tenure, error) {
			s, err := session(client, ttl)
			if err != nil {
				return nil, adapt.Tenure{}, err
			}
			owners.Store(strconv.FormatInt(int64(s.Lease()), 16), owner)
			m := &EtcdMutex{Mutex: concurrency.NewMutex(s, name(prefix, key)), session: s}
			if err := m.TryLock(ctx); err != nil {
				return nil, adapt.Tenure{}, as(err, concurrency.ErrLocked, registry.ErrHeld)
			}
			return m, adapt.Tenure{Token: uint64(m.Header().Revision)}, nil
		},
		Renew: func(ctx context.Context, m *EtcdMutex) (adapt.Tenure, error) {
			m.mu.Lock()
			owner := m.IsOwner()
			m.mu.Unlock()
			return adapt.Tenure{}, refresh(ctx, client, m.session.Lease(), owner)
		},
		Release: func(ctx context.Context, m *EtcdMutex) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			return as(m.Unlock(ctx), concurrency.ErrLockReleased, registry.ErrNotHeld)
		},
		Inspect: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			_, id, revision, err := first(ctx, client, name(prefix, key))
			owner, _ := owners.Load(id)
			who, _ := owner.(string)
			return adapt.Tenure{Token: revision, Owner: who}, revision > 0, err
		},
		Tokens: true, HoldsLonger: etcdSlow, StoreClock: true,
	}
}

// EtcdMutex is a mutex and the session that it dies with.
type EtcdMutex struct {
	*concurrency.Mutex
	session *concurrency.Session
	mu      sync.Mutex // a concurrency.Mutex is one caller's at a time
}

// Election adapts go.etcd.io/etcd/client/v3/concurrency.Election.
func Election(client *clientv3.Client, prefix string, ttl time.Duration) adapt.Lock[*EtcdLeader] {
	return adapt.Election[*EtcdLeader]{
		Campaign: func(ctx context.Context, key, candidate string) (*EtcdLeader, adapt.Tenure, error) {
			s, err := session(client, ttl)
			if err != nil {
				return nil, adapt.Tenure{}, err
			}
			e := &EtcdLeader{Election: concurrency.NewElection(s, name(prefix, key)), session: s}
			if err := e.Campaign(ctx, candidate); err != nil {
				return nil, adapt.Tenure{}, errors.Join(err, ctx.Err())
			}
			return e, adapt.Tenure{Token: uint64(e.Rev())}, nil
		},
		Renew: func(ctx context.Context, e *EtcdLeader) (adapt.Tenure, error) {
			e.mu.Lock()
			owner, gone := clientv3.Compare(clientv3.CreateRevision(e.Key()), "=", e.Rev()), e.Key() == ""
			e.mu.Unlock()
			if gone {
				return adapt.Tenure{}, registry.ErrNotHeld
			}
			return adapt.Tenure{}, refresh(ctx, client, e.session.Lease(), owner)
		},
		Resign: func(ctx context.Context, e *EtcdLeader) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.Resign(ctx)
		},
		Observe: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			owner, _, revision, err := first(ctx, client, name(prefix, key))
			return adapt.Tenure{Token: revision, Owner: owner}, revision > 0, err
		},
		Patience: 100 * time.Millisecond, Tokens: true, HoldsLonger: etcdSlow, StoreClock: true,
	}.Lock()
}

// EtcdLeader is an election and the session that it dies with.
type EtcdLeader struct {
	*concurrency.Election
	session *concurrency.Session
	mu      sync.Mutex // an Election is one caller's at a time
}
