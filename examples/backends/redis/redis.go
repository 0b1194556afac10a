// Package redis is a single-activation actor registry on Redis, as an example of
// the reasoning that such a registry needs. Package setnx, beside it, is what is
// often used instead.
//
// # Why it is safe
//
// Redis executes one script at a time, and each operation that changes something
// is one script: membership check, clock check and write happen with nothing in
// between, so it takes effect at that instant. The clock is read once, before the
// script is sent, and passed as an argument. By then the reading may be old, which
// errs on the safe side: a claim waits longer, a grant is shorter, a suspicion
// comes later, and a renewal that arrives after the lapse finds either that
// nobody has claimed, so that the tenure is still the only one, or a higher token.
//
// A released record stays, with its token: it is never deleted and has no time to
// live. Time to live is Redis's own clock, would forget the token, and would let
// the next holder in without grace and skew.
//
// # Numbers
//
// Lua's numbers here are doubles, exact up to 2^53; nanoseconds since 1970 are
// beyond 2^60. No instant is ever a Lua number: instants are strings of 20 digits
// (see [instant]), in whose order the order of time is, and sums are made in Go.
// Tokens and versions are counted by HINCRBY, which has 64 bits.
//
// # Unknown outcomes
//
// The client's own retries are refused by [Open]: repeated after a lost answer, a
// renewal raises the version twice, and a registration meets itself and is told
// that the node exists. An answer that did not come is reported as ErrAmbiguous,
// which may still apply: the script may be waiting in a buffer. An error reply
// says that the script did not run.
//
// # What this cannot promise
//
// Redis acknowledges before it replicates. After a fail-over the new primary may
// lack the last writes: tokens go back, and no script can help. With a single
// primary, appendonly yes and appendfsync always, acknowledged writes survive.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/admit"
)

// Open returns a handle on the cluster of that name, which is created with cfg
// when it does not exist. The client must not retry by itself (MaxRetries -1) and
// must honour deadlines (ContextTimeoutEnabled). Open fails with
// registry.ErrInvalid, registry.ErrConfigMismatch, registry.ErrUnavailable or the
// context's error. Closing the handle leaves the client open.
func Open(ctx context.Context, client *redis.Client, cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o := client.Options(); o.MaxRetries != 0 || !o.ContextTimeoutEnabled { // the client keeps -1 as 0
		return nil, &registry.InvalidError{Field: "redis client", Problem: "retries by itself or ignores deadlines, want MaxRetries -1 and ContextTimeoutEnabled"}
	}
	h := &handle{client: client, prefix: "{" + cluster + "}:", cfg: cfg, clock: clock}
	if err := h.matchConfig(ctx); err != nil {
		return nil, err
	}
	return admit.Handle(h), nil
}

// matchConfig writes the configuration unless there is one, and compares with it.
func (h *handle) matchConfig(ctx context.Context) error {
	key := h.prefix + "config"
	given := []time.Duration{h.cfg.TTL, h.cfg.Grace, h.cfg.MaxClockSkew, h.cfg.FailureTimeout}
	if err := h.client.SetNX(ctx, key, strings.Trim(fmt.Sprintf("%d", given), "[]"), 0).Err(); err != nil {
		return unavailable(ctx, err)
	}
	text, err := h.client.Get(ctx, key).Result()
	if err != nil {
		return unavailable(ctx, err)
	}
	var have registry.Config
	if _, err := fmt.Sscan(text, &have.TTL, &have.Grace, &have.MaxClockSkew, &have.FailureTimeout); err != nil {
		return fmt.Errorf("%w: key %q is no configuration: %w", registry.ErrUnavailable, key, err)
	}
	return h.cfg.Match(have)
}

// The keys of a cluster, all in one slot by the braces:
//
//	config       the configuration
//	a:NS\0NAME   a hash: the record of an actor
//	n:ID         a hash: the registration of a node
//	held         a sorted set: ID \0 EPOCH \0 NS \0 NAME of every held actor
//	nodes        a sorted set: the names of all nodes
//
// No name has a NUL, so different names have different keys.
type handle struct {
	client *redis.Client
	prefix string
	cfg    registry.Config
	clock  registry.Clock
}

func (h *handle) actorKey(a registry.ActorID) string {
	return h.prefix + "a:" + a.Namespace + "\x00" + a.Name
}

func (h *handle) nodeKey(id registry.NodeID) string { return h.prefix + "n:" + string(id) }

// instant returns i as 20 digits that sort as the instants do.
func instant(i registry.Instant) string { return number(uint64(i) ^ 1<<63) }

func number(n uint64) string { return fmt.Sprintf("%020d", n) }

//go:embed actor.lua
var actorScript string

//go:embed node.lua
var nodeScript string

// A script is the common part and the decision.
func script(common, decision string) *redis.Script { return redis.NewScript(common + decision) }

var (
	claimScript = script(actorScript, `
		local repeats = held and rec.holder == node and rec.epoch == epoch and rec.claim == claim
		if repeats and rec.expiry > arg.lapse then return answer('ok') end
		local problem = standing()
		if problem then return answer(problem) end
		if held and rec.expiry > arg.reclaim then return answer('held') end
		return grant(node, epoch, claim)`)

	renewScript = script(actorScript, `
		local problem = tenure()
		if problem then return answer(problem) end
		if rec.expiry <= arg.lapse then return answer('lapsed') end
		local expiry = rec.expiry
		if arg.expiry > expiry then expiry = arg.expiry end
		redis.call('HSET', KEYS[1], 'expiry', expiry)
		redis.call('HINCRBY', KEYS[1], 'version', 1)
		return answer('ok')`)

	releaseScript = script(actorScript, `
		if exists and not held and pad(rec.token) == arg.token then return answer('ok') end
		local problem = tenure()
		if problem then return answer(problem) end
		redis.call('ZREM', KEYS[3], index(rec.holder, rec.epoch))
		redis.call('HSET', KEYS[1], 'holder', '', 'epoch', '0')
		redis.call('HINCRBY', KEYS[1], 'version', 1)
		return answer('ok')`)

	transferScript = script(actorScript, `
		local problem = standing() or tenure()
		if problem then return answer(problem) end
		if rec.expiry <= arg.now then return answer('lapsed') end
		return grant(node, epoch, '')`)

	registerScript = script(nodeScript, `
		if status == 'active' and arg.supersede == '0' then return answer('exists') end
		redis.call('HINCRBY', KEYS[1], 'epoch', 1)
		redis.call('HSET', KEYS[1], 'status', 'active', 'seen', arg.now, 'address', arg.address)
		redis.call('ZADD', KEYS[2], 0, arg.id)
		return answer('ok')`)

	heartbeatScript = script(nodeScript, `
		if standing ~= 'active' then return answer(standing) end
		redis.call('HSET', KEYS[1], 'seen', arg.now)
		return answer('ok')`)

	markFailedScript = script(nodeScript, `
		if standing == 'failed' then return answer('ok') end
		if standing == 'unknown' then return answer('unknown') end
		if seen > arg.silent then return answer('alive') end
		redis.call('HSET', KEYS[1], 'status', 'failed')
		return answer('ok')`)

	deregisterScript = script(nodeScript, `
		if current ~= arg.epoch or status == 'left' then return answer('unknown') end
		redis.call('HSET', KEYS[1], 'status', 'left')
		return answer('ok')`)
)

// problems are the refusals by the names that the scripts give them.
var problems = map[string]error{
	"unknown": registry.ErrNodeUnknown, "failed": registry.ErrNodeFailed, "exists": registry.ErrNodeExists, "alive": registry.ErrNodeAlive,
	"fenced": registry.ErrFenced, "not held": registry.ErrNotHeld, "lapsed": registry.ErrLapsed, "held": registry.ErrHeld,
}

// refusal returns the error for the result of a script.
func refusal(result string, p registry.Placement, n registry.Node, now registry.Instant) error {
	if result == "ok" {
		return nil
	}
	r := &registry.Refusal{Reason: problems[result], Now: now}
	switch r.Reason {
	case registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive:
		r.Node = n
	default:
		r.Placement = p
	}
	return r
}

// args are the arguments of a script.
type args map[string]string

// run executes a script, once.
func (h *handle) run(ctx context.Context, s *redis.Script, keys []string, a args) ([]any, error) {
	flat := make([]any, 0, 2*len(a))
	for name, value := range a {
		flat = append(flat, name, value)
	}
	reply, err := s.Run(ctx, h.client, keys, flat...).Slice()
	if err != nil {
		return nil, outcome(ctx, err)
	}
	return reply, nil
}

// onActor executes a script on the record of an actor, which may ask for the
// registration of node.
func (h *handle) onActor(ctx context.Context, s *redis.Script, actor registry.ActorID, node registry.NodeID, now registry.Instant, a args) (registry.Lease, error) {
	a["actor"] = actor.Namespace + "\x00" + actor.Name
	reply, err := h.run(ctx, s, []string{h.actorKey(actor), h.nodeKey(node), h.prefix + "held"}, a)
	if err != nil {
		return registry.Lease{}, err
	}
	p, err := placement(actor, reply[1].([]any))
	if err != nil {
		return registry.Lease{}, err
	}
	n, err := registration(node, reply[2].([]any))
	if err != nil {
		return registry.Lease{}, err
	}
	if err := refusal(reply[0].(string), p, n, now); err != nil {
		return registry.Lease{}, err
	}
	return p.Lease(), nil
}

// onNode executes a script on the registration of a node.
func (h *handle) onNode(ctx context.Context, s *redis.Script, id registry.NodeID, now registry.Instant, a args) (registry.Node, error) {
	reply, err := h.run(ctx, s, []string{h.nodeKey(id), h.prefix + "nodes"}, a)
	if err != nil {
		return registry.Node{}, err
	}
	n, err := registration(id, reply[1].([]any))
	if err != nil {
		return registry.Node{}, err
	}
	if err := refusal(reply[0].(string), registry.Placement{}, n, now); err != nil {
		return registry.Node{}, err
	}
	return n, nil
}

// outcome tells what the failure of a script means. A connection that was never
// had and an error reply mean that nothing happened; anything else that the
// script may have been sent.
func outcome(ctx context.Context, err error) error {
	var reply redis.Error
	var network *net.OpError
	switch {
	case errors.As(err, &reply), errors.As(err, &network) && network.Op == "dial",
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed):
		return unavailable(ctx, err)
	default:
		return &registry.AmbiguousError{MayStillApply: true, Cause: err}
	}
}

// unavailable is for troubles in which nothing happened.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("redis: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// row is a reply's fields, and the first that is not as the scripts write it.
type row struct {
	fields []any
	err    error
}

// text returns a field, "" for none.
func (r *row) text(i int) string {
	s, _ := r.fields[i].(string)
	return s
}

// number reads a field that is a number.
func (r *row) number(i int) uint64 {
	n, err := strconv.ParseUint(r.text(i), 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%w: field %d is damaged: %q is no number", registry.ErrUnavailable, i, r.text(i))
	}
	return n
}

func (r *row) instant(i int) registry.Instant { return registry.Instant(r.number(i) ^ 1<<63) }

// holder reads the fields of a holder, both absent for nobody.
func (r *row) holder(id, epoch int) registry.NodeRef {
	if r.text(id) == "" {
		return registry.NodeRef{}
	}
	return registry.NodeRef{ID: registry.NodeID(r.text(id)), Epoch: registry.Epoch(r.number(epoch))}
}

// placement reads the fields holder, epoch, token, version, expiry, claim.
func placement(actor registry.ActorID, fields []any) (registry.Placement, error) {
	if fields[3] == nil {
		return registry.Placement{}, nil
	}
	r := row{fields: fields}
	p := registry.Placement{
		Actor:   actor,
		Holder:  r.holder(0, 1),
		Token:   registry.Token(r.number(2)),
		Version: registry.Version(r.number(3)),
		Expiry:  r.instant(4),
	}
	copy(p.ClaimID[:], r.text(5))
	return p, r.err
}

var statuses = map[string]registry.NodeStatus{"active": registry.NodeActive, "failed": registry.NodeFailed, "left": registry.NodeLeft}

// registration reads the fields epoch, address, status, seen.
func registration(id registry.NodeID, fields []any) (registry.Node, error) {
	if fields[0] == nil {
		return registry.Node{}, nil
	}
	r := row{fields: fields}
	n := registry.Node{
		Ref:      registry.NodeRef{ID: id, Epoch: registry.Epoch(r.number(0))},
		Info:     registry.NodeInfo{Address: r.text(1)},
		Status:   statuses[r.text(2)],
		LastSeen: r.instant(3),
	}
	if n.Status == registry.AnyStatus && r.err == nil {
		r.err = fmt.Errorf("%w: the status of %v is damaged: %q", registry.ErrUnavailable, id, r.text(2))
	}
	return n, r.err
}
