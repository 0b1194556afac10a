package etcdsession

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// NewElection makes clients that campaign in an election for every actor that they serve,
// in a session of its own: concurrency.Election, unchanged too. A registry has no place
// for the queue of the candidates. Whoever asks which candidates came before him looks,
// and claims where the actor can be had; that nobody came before him says the grant.
func NewElection(o Options) client.Factory {
	return host.Factory(func(h *host.Host, ctx, work context.Context, a registry.ActorID) error {
		return elect(ctx, work, h, o, a)
	})
}

// errElected is why a service ends that Observe ended.
var errElected = errors.New("another leader is observed, or none")

// elect campaigns once, and serves while it leads. Its error is that of the last release.
func elect(ctx, work context.Context, h *host.Host, o Options, a registry.ActorID) error {
	life, cancel := context.WithCancel(context.Background())
	defer cancel()
	if o.GiveUp > 0 {
		defer context.AfterFunc(ctx, func() { pause(life, o.GiveUp); cancel() })()
	}
	etcd := clientv3.NewCtxClient(life)
	k := &keys{server: &server{h: h, told: h.Config.TTL - o.Margin}, actor: a, id: registry.NewClaimID(), rng: rand.New(rand.NewPCG(h.Seed, 2))}
	etcd.KV, etcd.Watcher = k, watcher{keys: k}
	etcd.Lease = clientv3.NewLeaseFromLeaseClient(k.server, etcd, o.DialTimeout+time.Second)
	defer etcd.Lease.Close()
	s, err := concurrency.NewSession(etcd, concurrency.WithLease(1), concurrency.WithTTL(int(h.Config.TTL/time.Second)), concurrency.WithContext(life))
	if err != nil {
		return err
	}
	e := concurrency.NewElection(s, a.Name)
	if err := e.Campaign(ctx, self); err != nil {
		defer time.AfterFunc(h.Config.TTL/6, cancel).Stop()
		err = s.Close()
		pause(ctx, h.Config.TTL/30+k.spread())
		return err
	}
	if work.Err() == nil {
		ended := s.Done()
		if o.Observes {
			ended = observed(life, e)
		}
		stop := h.Serve(a, k.held().Token)
		select {
		case <-work.Done():
			stop(nil)
		case <-ended:
			stop(map[bool]error{false: errSession, true: errElected}[o.Observes])
		}
	}
	defer time.AfterFunc(h.Config.TTL/6, cancel).Stop() // what is not resigned or revoked lapses
	if work.Err() != nil {
		_ = e.Resign(life) // and else revoked
	}
	return s.Close()
}

// observed is closed when Observe tells another leader, or ends.
func observed(ctx context.Context, e *concurrency.Election) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r := range e.Observe(ctx) {
			if string(r.Kvs[0].Value) != self {
				return
			}
		}
	}()
	return ended
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// The values of the keys: this client's, and whoever's else.
const self, other = "self", "other"

// keys are as much of a store of keys as an election asks for.
type keys struct {
	clientv3.KV // the rest is not asked for
	*server
	actor registry.ActorID
	id    registry.ClaimID
	rng   *rand.Rand // of the goroutine that campaigns
	wait  time.Duration
}

func (k *keys) spread() time.Duration { return time.Duration(k.rng.Int64N(int64(k.h.Config.TTL / 10))) }

// Get implements clientv3.KV. Those who came before, if a greatest revision is given, or
// who came first.
func (k *keys) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	header := &pb.ResponseHeader{Revision: 2}
	if get := clientv3.OpGet(key, opts...); get.MaxCreateRev() == 0 {
		return k.leader(ctx, header)
	}
	lease, wait, err := attempt(ctx, k.h, k.actor, k.id)
	switch {
	case err == nil:
		k.hold(lease)
		return &clientv3.GetResponse{Header: header}, nil
	case errors.Is(err, registry.ErrHeld):
		k.wait = wait + k.h.Config.TTL/100 + k.spread()
		return &clientv3.GetResponse{Header: header, Kvs: []*mvccpb.KeyValue{{Key: []byte(other), Value: []byte(other)}}}, nil
	}
	return nil, err
}

// leader looks who leads.
func (k *keys) leader(ctx context.Context, header *pb.ResponseHeader) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, k.h.Config.TTL/6)
	defer cancel()
	p, found, err := k.h.Handle.Lookup(ctx, k.actor)
	if err != nil {
		return nil, err
	}
	value := other
	if held := k.held(); found && p.Holder == held.Holder && p.Token == held.Token {
		value = self
	}
	return &clientv3.GetResponse{Header: header, Kvs: []*mvccpb.KeyValue{{Key: []byte(value), Value: []byte(value)}}}, nil
}

// Txn implements clientv3.KV.
func (k *keys) Txn(ctx context.Context) clientv3.Txn { return &txn{ctx: ctx, keys: k} }

// txn puts a candidate's key, which the registry has no place for, or deletes it.
type txn struct {
	ctx  context.Context
	keys *keys
	then clientv3.Op
}

func (t *txn) If(...clientv3.Cmp) clientv3.Txn      { return t }
func (t *txn) Then(ops ...clientv3.Op) clientv3.Txn { t.then = ops[0]; return t }
func (t *txn) Else(...clientv3.Op) clientv3.Txn     { return t }

func (t *txn) Commit() (*clientv3.TxnResponse, error) {
	var err error
	if t.then.IsDelete() {
		err = t.keys.leave(t.ctx)
	}
	return &clientv3.TxnResponse{Header: &pb.ResponseHeader{Revision: 2}, Succeeded: true}, err
}

// leave gives back what is held, or may have been granted.
func (k *keys) leave(ctx context.Context) error {
	if k.held().Token == 0 {
		p, _, err := k.h.Handle.Lookup(ctx, k.actor)
		if err != nil || p.ClaimID != k.id {
			return err
		}
		k.hold(p.Lease())
	}
	return k.release(ctx)
}

// watcher watches the key of whoever is in the way, or leads.
type watcher struct {
	clientv3.Watcher
	keys *keys
}

// Watch implements clientv3.Watcher: a candidate looks again when the actor may be free,
// an observer when there is another leader. A watch that hears nothing waits on.
func (w watcher) Watch(ctx context.Context, key string, _ ...clientv3.OpOption) clientv3.WatchChan {
	ch, k := make(chan clientv3.WatchResponse, 1), w.keys
	go func() {
		defer close(ch)
		for wait := k.wait; ; wait = k.h.Config.TTL / 10 {
			pause(ctx, wait)
			if ctx.Err() != nil {
				return
			}
			if key == self {
				if r, err := k.leader(ctx, nil); err != nil || string(r.Kvs[0].Value) == self {
					continue
				}
			}
			ch <- clientv3.WatchResponse{Events: []*clientv3.Event{{Type: mvccpb.DELETE}}}
			return
		}
	}()
	return ch
}
