package redislock

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// server is as much of Redis as one lock needs: the scripts of the library, told apart
// by the command in them. It is asked as go-redis asks, which waits 3 s for an answer.
type server struct {
	redis.Scripter
	h     *host.Host
	actor registry.ActorID

	mu    sync.Mutex
	ids   map[string]registry.ClaimID // by the lock's value
	lease registry.Lease
	sent  time.Time // before the request that the lease was granted, or renewed, by
}

func newServer(h *host.Host, a registry.ActorID) *server {
	return &server{h: h, actor: a, ids: map[string]registry.ClaimID{}}
}

// EvalSha implements redis.Scripter: no script is known before it was sent.
func (s *server) EvalSha(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	return answer(ctx, nil, errNoScript{})
}

// Eval implements redis.Scripter.
func (s *server) Eval(ctx context.Context, script string, _ []string, args ...any) *redis.Cmd {
	asked, cancel := context.WithTimeout(ctx, s.h.Config.TTL/10)
	defer cancel()
	switch {
	case strings.Contains(script, `"pexpire"`):
		return s.extend(ctx, s.renew(asked))
	case strings.Contains(script, `"del"`):
		return s.extend(ctx, s.h.Handle.Release(asked, s.held()))
	}
	err := s.obtain(asked, args[0].(string))
	if errors.Is(err, registry.ErrHeld) {
		return answer(ctx, nil, redis.Nil)
	}
	return answer(ctx, "OK", err)
}

// extend answers a script that compares the value first: 1, or 0 where it is another.
func (s *server) extend(ctx context.Context, err error) *redis.Cmd {
	if errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed) {
		return answer(ctx, int64(0), nil)
	}
	return answer(ctx, int64(1), err)
}

// obtain is SET NX.
func (s *server) obtain(ctx context.Context, value string) error {
	s.mu.Lock()
	if _, known := s.ids[value]; !known {
		s.ids[value] = registry.NewClaimID()
	}
	id := s.ids[value]
	s.mu.Unlock()
	return s.call(func() (registry.Lease, error) { return s.h.Handle.Claim(ctx, s.actor, s.h.Ref(), id) })
}

// renew is PEXPIRE.
func (s *server) renew(ctx context.Context) error {
	return s.call(func() (registry.Lease, error) { return s.h.Handle.Renew(ctx, s.held()) })
}

// call keeps the lease that a request was answered with, and when that was sent.
func (s *server) call(ask func() (registry.Lease, error)) error {
	sent := time.Now()
	l, err := ask()
	if err == nil {
		s.mu.Lock()
		s.lease, s.sent = l, sent
		s.mu.Unlock()
	}
	return err
}

func (s *server) held() registry.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease
}

// until is the end of the lease, counted from before the request.
func (s *server) until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.Add(s.h.Config.TTL)
}

// errNoScript is how Redis answers for a script that it does not know.
type errNoScript struct{}

func (errNoScript) Error() string { return "NOSCRIPT No matching script. Please use EVAL." }
func (errNoScript) RedisError()   {}

func answer(ctx context.Context, v any, err error) *redis.Cmd {
	c := redis.NewCmd(ctx)
	c.SetVal(v)
	if err != nil {
		c.SetErr(err)
	}
	return c
}
