// Package etcd is a single-activation actor registry on etcd, as an example of
// the reasoning that such a registry needs.
//
// # Why it is safe
//
// An attempt of an operation reads the record and the registration that it
// decides by in one transaction, which is linearizable and gives both as of one
// revision; it then reads the clock, decides, and writes in a second transaction
// on the condition that the modification revision of everything read is what it
// was (0: the key does not exist). Keys are never deleted and a modification
// revision never comes back, so if the condition holds nothing has changed in
// between, and the operation takes effect at the write. If not, the attempt has
// written nothing and the next one begins. A refusal takes effect at the read.
//
// etcd's own leases are not used: they expire by the leader's clock, are extended
// as a whole when the leader changes, and delete the key, and with it the token.
//
// The price: a heartbeat of a node fails the claims of that node that are under
// way, and they are attempted again.
//
// # Unknown outcomes
//
// The client repeats a transaction that writes only when it was not sent. If the
// answer is lost, the same condition both tells and decides: see [store.settle].
package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/decided"
)

// Open returns a handle on the cluster of that name, which is created with cfg
// when it does not exist. It fails with registry.ErrInvalid,
// registry.ErrConfigMismatch, registry.ErrUnavailable or the context's error.
// Closing the handle leaves the client open.
func Open(ctx context.Context, client *clientv3.Client, cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &store{client, cluster + "\x00"}
	key := s.prefix + "config"
	given := cfg
	given.AllowShortTTL = false // a permission, no value of the cluster
	reply, err := client.Txn(ctx).If(unmoved(key, 0)).Then(clientv3.OpPut(key, encode(given))).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return nil, nothingHappened(ctx, err)
	}
	if !reply.Succeeded {
		have, err := decode[registry.Config](reply.Responses[0].GetResponseRange().Kvs[0])
		if err := cmp.Or(err, cfg.Match(have)); err != nil {
			return nil, err
		}
	}
	return decided.Handle(s, cfg, clock), nil
}

// The keys of a cluster:
//
//	config                    the configuration
//	a \0 NS \0 NAME           the record of an actor
//	n \0 ID                   the registration of a node
//	h \0 ID \0 EPOCH \0 NS \0 NAME   empty: the actor is held
//
// No name has a NUL, so different names have different keys. Values are JSON.
type store struct {
	client *clientv3.Client
	prefix string
}

func (s *store) actorKey(a registry.ActorID) string {
	return s.prefix + "a\x00" + a.Namespace + "\x00" + a.Name
}

func (s *store) nodeKey(id registry.NodeID) string { return s.prefix + "n\x00" + string(id) }

func (s *store) heldPrefix(n registry.NodeRef) string {
	return fmt.Sprintf("%sh\x00%s\x00%d\x00", s.prefix, n.ID, n.Epoch)
}

// unmoved is the condition that key was not modified since revision.
func unmoved(key string, revision int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", revision)
}

// UpdateActor implements [decided.Store].
func (s *store) UpdateActor(ctx context.Context, actor registry.ActorID, node registry.NodeID, decide decided.DecideActor) (registry.Placement, error) {
	keys := []string{s.actorKey(actor)}
	if node != "" {
		keys = append(keys, s.nodeKey(node))
	}
	var next registry.Placement
	err := s.transact(ctx, keys, func(kvs []*mvccpb.KeyValue) (writes []clientv3.Op, refused, damaged error) {
		rec, err := decode[registry.Placement](kvs[0])
		var n registry.Node
		if err == nil && node != "" {
			n, err = decode[registry.Node](kvs[1])
		}
		if err != nil {
			return nil, nil, err
		}
		var changed bool
		if next, changed, refused = decide(rec, n); changed {
			writes = s.recordWrites(rec, next)
		}
		return writes, refused, nil
	})
	return next, err
}

// recordWrites puts the record and keeps the index of held actors with it.
func (s *store) recordWrites(rec, next registry.Placement) []clientv3.Op {
	name := next.Actor.Namespace + "\x00" + next.Actor.Name
	writes := []clientv3.Op{clientv3.OpPut(s.actorKey(next.Actor), encode(next))}
	if next.Holder == rec.Holder {
		return writes // a transaction may modify a key only once
	}
	if rec.Held() {
		writes = append(writes, clientv3.OpDelete(s.heldPrefix(rec.Holder)+name))
	}
	if next.Held() {
		writes = append(writes, clientv3.OpPut(s.heldPrefix(next.Holder)+name, ""))
	}
	return writes
}

// UpdateNode implements [decided.Store].
func (s *store) UpdateNode(ctx context.Context, id registry.NodeID, decide decided.DecideNode) (registry.Node, error) {
	var next registry.Node
	err := s.transact(ctx, []string{s.nodeKey(id)}, func(kvs []*mvccpb.KeyValue) (writes []clientv3.Op, refused, damaged error) {
		n, err := decode[registry.Node](kvs[0])
		if err != nil {
			return nil, nil, err
		}
		var changed bool
		if next, changed, refused = decide(n); changed {
			writes = []clientv3.Op{clientv3.OpPut(s.nodeKey(id), encode(next))}
		}
		return writes, refused, nil
	})
	return next, err
}

// transact makes one attempt after another until nothing that it read was
// modified before it wrote. The writes of an attempt include the first key.
func (s *store) transact(ctx context.Context, keys []string, attempt func([]*mvccpb.KeyValue) (writes []clientv3.Op, refused, damaged error)) error {
	for {
		kvs, err := s.get(ctx, keys)
		if err != nil {
			return nothingHappened(ctx, err)
		}
		writes, refused, damaged := attempt(kvs)
		if damaged != nil || len(writes) == 0 {
			return cmp.Or(damaged, refused)
		}
		unchanged := make([]clientv3.Cmp, len(keys))
		for i, key := range keys {
			unchanged[i] = unmoved(key, revision(kvs[i]))
		}
		reply, err := s.client.Txn(ctx).If(unchanged...).Then(writes...).Commit()
		if err != nil {
			return s.settle(ctx, keys[0], kvs[0], err)
		}
		if reply.Succeeded {
			return nil
		}
	}
}

// settle finds out what a lost answer meant, by writing key as it was before, on
// the same condition as the transaction whose answer was lost. That one, too, would
// have written key, and so changed its revision. Hence there are three cases:
//
//   - The condition held. The transaction had not been applied, and now never will
//     be: its condition names a revision that this write has ended.
//   - It did not hold. The transaction was applied, or somebody else's was and
//     ended its condition. Either way it will not happen any more.
//   - There is no answer again. Nothing is known. Should this write arrive late, it
//     changes nothing that can be read.
func (s *store) settle(ctx context.Context, key string, before *mvccpb.KeyValue, cause error) error {
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	var value string // of no key: as good as none, see decode
	if before != nil {
		value = string(before.Value)
	}
	reply, err := s.client.Txn(ask).If(unmoved(key, revision(before))).Then(clientv3.OpPut(key, value)).Commit()
	switch {
	case err != nil:
		return &registry.AmbiguousError{MayStillApply: true, Cause: cause}
	case reply.Succeeded:
		return nothingHappened(ctx, cause)
	default:
		return &registry.AmbiguousError{Cause: cause}
	}
}

func nothingHappened(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("etcd: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// get reads the keys at one revision; nil where there is none.
func (s *store) get(ctx context.Context, keys []string) ([]*mvccpb.KeyValue, error) {
	gets := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		gets[i] = clientv3.OpGet(key)
	}
	reply, err := s.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return nil, err
	}
	kvs := make([]*mvccpb.KeyValue, len(keys))
	for i, r := range reply.Responses {
		if found := r.GetResponseRange().Kvs; len(found) > 0 {
			kvs[i] = found[0]
		}
	}
	return kvs, nil
}

func revision(kv *mvccpb.KeyValue) int64 {
	if kv == nil {
		return 0
	}
	return kv.ModRevision
}

// encode cannot fail: the values have numbers and valid UTF-8 only.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// decode returns the value of kv, zero for none. An empty one is as good as none:
// it is what settle leaves where there was no key.
func decode[T any](kv *mvccpb.KeyValue) (v T, err error) {
	if kv == nil || len(kv.Value) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return v, fmt.Errorf("%w: key %q holds something else: %w", registry.ErrUnavailable, kv.Key, err)
	}
	return v, nil
}

// Actor implements [decided.Store].
func (s *store) Actor(ctx context.Context, actor registry.ActorID) (registry.Placement, error) {
	return one[registry.Placement](ctx, s, s.actorKey(actor))
}

// Node implements [decided.Store].
func (s *store) Node(ctx context.Context, id registry.NodeID) (registry.Node, error) {
	return one[registry.Node](ctx, s, s.nodeKey(id))
}

func one[T any](ctx context.Context, s *store, key string) (v T, err error) {
	kvs, err := s.get(ctx, []string{key})
	if err != nil {
		return v, nothingHappened(ctx, err)
	}
	return decode[T](kvs[0])
}

// txnOps is how many operations one transaction has here; etcd allows 128.
const txnOps = 100

// ListActors implements [decided.Store]. The index changes in the same
// transaction as the record, so an actor held throughout is in every page's range
// of it; each row is then read at its own revision, and left out if the node lost
// it meanwhile.
func (s *store) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	prefix := s.heldPrefix(node)
	index, next, err := s.scan(ctx, prefix, page)
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Placement
	for ; len(index) > 0; index = index[min(txnOps, len(index)):] {
		var keys []string
		for _, kv := range index[:min(txnOps, len(index))] {
			keys = append(keys, s.prefix+"a\x00"+strings.TrimPrefix(string(kv.Key), prefix))
		}
		kvs, err := s.get(ctx, keys)
		if err != nil {
			return nil, "", nothingHappened(ctx, err)
		}
		for _, kv := range kvs {
			p, err := decode[registry.Placement](kv)
			if err != nil {
				return nil, "", err
			}
			if p.Holder == node {
				rows = append(rows, p)
			}
		}
	}
	return rows, next, nil
}

// ListNodes implements [decided.Store]. Nodes of another status are left out of
// their page, which may then have fewer rows than its limit and yet be followed by
// another.
func (s *store) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	kvs, next, err := s.scan(ctx, s.nodeKey(""), page)
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Node
	for _, kv := range kvs {
		n, err := decode[registry.Node](kv)
		if err != nil {
			return nil, "", err
		}
		if !n.Ref.IsZero() && (status == registry.AnyStatus || n.Status == status) {
			rows = append(rows, n)
		}
	}
	return rows, next, nil
}

// scan returns a page of the keys with the prefix, and the cursor to go on from:
// the last key without the prefix.
func (s *store) scan(ctx context.Context, prefix string, page registry.Page) ([]*mvccpb.KeyValue, registry.Cursor, error) {
	from := prefix
	if page.After != "" {
		from += string(page.After) + "\x00" // the first key after it
	}
	reply, err := s.client.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(int64(page.Rows())+1))
	if err != nil {
		return nil, "", nothingHappened(ctx, err)
	}
	kvs := reply.Kvs
	if len(kvs) <= page.Rows() {
		return kvs, "", nil
	}
	kvs = kvs[:page.Rows()]
	return kvs, registry.Cursor(strings.TrimPrefix(string(kvs[len(kvs)-1].Key), prefix)), nil
}
