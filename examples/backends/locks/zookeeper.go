package locks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
	"github.com/kelpie-registry/registry/dialect"
)

// ZooKeeperLock is a lock and the session that it dies with.
type ZooKeeperLock struct {
	mu    sync.Mutex // a zk.Lock is one caller's at a time
	lock  *zk.Lock
	conn  *zk.Conn
	path  string
	token uint64
}

// zkLook is how often somebody who waits looks whether another has the lock: it can
// only wait, and not be asked.
const zkLook = 20 * time.Millisecond

// zkDial opens a session, which the client keeps alive by itself until it is closed.
func zkDial(ctx context.Context, addr string, ttl time.Duration) (*zk.Conn, error) {
	c, events, err := zk.Connect([]string{addr}, ttl, zk.WithLogInfo(false), zk.WithLogger(silent{}))
	if err != nil {
		return nil, err
	}
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c, nil
			}
		case <-ctx.Done():
			c.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// ZooKeeperUp returns nil when the server at addr gives sessions.
func ZooKeeperUp(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := zkDial(ctx, addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// ZooKeeper adapts github.com/go-zookeeper/zk.Lock: a lock of a session, for as long
// as that lives. Its token is the zxid by which its node was made. The function that
// is returned too ends the sessions that are left.
func ZooKeeper(addr, prefix string, ttl time.Duration) (adapt.Lock[*ZooKeeperLock], func() error) {
	var open, owners sync.Map // owners by the id in a node, which tells attempts apart
	looks := sync.OnceValues(func() (*zk.Conn, error) {
		c, err := zkDial(context.Background(), addr, time.Minute)
		if err == nil {
			open.Store(c, true)
		}
		return c, err
	})
	end := func(c *zk.Conn) { open.Delete(c); c.Close() }
	return adapt.Lock[*ZooKeeperLock]{
			Acquire: func(ctx context.Context, key, owner string) (*ZooKeeperLock, adapt.Tenure, error) {
				c, err := zkDial(ctx, addr, ttl)
				if err != nil {
					return nil, adapt.Tenure{}, err
				}
				open.Store(c, true)
				id := registry.NewClaimID().String()
				owners.Store(id, owner)
				l := &ZooKeeperLock{lock: zk.NewLock(c, "/"+name(prefix, key), zk.WorldACL(zk.PermAll)), conn: c, path: "/" + name(prefix, key)}
				if err = l.take(ctx, id); err != nil {
					end(c)
				}
				return l, adapt.Tenure{Token: l.token}, err
			},
			Renew: func(_ context.Context, l *ZooKeeperLock) (adapt.Tenure, error) {
				_, token, err := zkFirst(l.conn, l.path)
				if err == nil && token != l.token {
					err = registry.ErrNotHeld
				}
				return adapt.Tenure{Token: l.token}, zkOver(err)
			},
			Release: func(_ context.Context, l *ZooKeeperLock) error {
				l.mu.Lock()
				defer l.mu.Unlock()
				err := zkOver(l.lock.Unlock())
				if err == nil {
					end(l.conn)
				}
				return err
			},
			Inspect: func(_ context.Context, key string) (adapt.Tenure, bool, error) {
				c, err := looks()
				if err != nil {
					return adapt.Tenure{}, false, err
				}
				id, token, err := zkFirst(c, "/"+name(prefix, key))
				owner, _ := owners.Load(id)
				who, _ := owner.(string)
				return adapt.Tenure{Token: token, Owner: who}, token > 0, err
			},
			Tokens: true, HoldsLonger: dialect.Unbounded, StoreClock: true,
		}, func() error {
			open.Range(func(c, _ any) bool { end(c.(*zk.Conn)); return true })
			return nil
		}
}

// take tries to lock until it is locked, or another's.
func (l *ZooKeeperLock) take(ctx context.Context, id string) error {
	if _, token, err := zkFirst(l.conn, l.path); err != nil {
		return err
	} else if token > 0 {
		return registry.ErrHeld
	}
	taken := make(chan error, 1)
	go func() { taken <- l.lock.LockWithData([]byte(id)) }()
	look := time.NewTicker(zkLook)
	defer look.Stop()
	for {
		select {
		case err := <-taken:
			if err == nil {
				_, l.token, err = zkFirst(l.conn, l.path)
			}
			return err
		case <-look.C:
			if first, _, err := zkFirst(l.conn, l.path); err == nil && first != "" && first != id {
				return registry.ErrHeld
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// zkOver says that a tenure is over of whatever shows that its session or node is.
func zkOver(err error) error {
	for _, gone := range []error{zk.ErrNotLocked, zk.ErrNoNode, zk.ErrSessionExpired, zk.ErrConnectionClosed, zk.ErrClosing} {
		if errors.Is(err, gone) {
			return registry.ErrNotHeld
		}
	}
	return err
}

// zkFirst is what the oldest node of a lock, its holder's, says. The token is 0 where
// there is none.
func zkFirst(c *zk.Conn, path string) (id string, token uint64, err error) {
	children, _, err := c.Children(path)
	if errors.Is(err, zk.ErrNoNode) {
		return "", 0, nil
	}
	for _, child := range children {
		data, stat, failed := c.Get(path + "/" + child)
		switch {
		case errors.Is(failed, zk.ErrNoNode): // it has gone meanwhile
		case failed != nil:
			return "", 0, fmt.Errorf("reading %s: %w", child, failed)
		case token == 0 || uint64(stat.Czxid) < token:
			id, token = string(data), uint64(stat.Czxid)
		}
	}
	return id, token, err
}
