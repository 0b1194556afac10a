package locks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	"github.com/kelpie-registry/registry/examples/backends/locks"
)

// backend makes clusters of an adapted lock under prefixes of their own.
type backend struct {
	name    string
	cfg     registry.Config
	lock    func(prefix string, cfg registry.Config) *adapt.Cluster
	dialect dialect.Dialect
	made    *atomic.Int64
}

func (b backend) Name() string                    { return b.name }
func (b backend) Dialect() dialect.Dialect        { return b.dialect }
func (b backend) RealTimeConfig() registry.Config { return b.cfg }
func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	return b.lock(fmt.Sprintf("locks-%d-%d-", os.Getpid(), b.made.Add(1)), cfg), nil
}

// judge judges a lock and says what it passes as.
func judge[T any](t *testing.T, name string, cfg registry.Config, lock func(prefix string, cfg registry.Config) adapt.Lock[T]) *conformance.Report {
	t.Helper()
	return judgeClusters(t, name, cfg, lock("", cfg).Dialect(), func(prefix string, cfg registry.Config) *adapt.Cluster { return lock(prefix, cfg).Cluster(cfg) })
}

func judgeClusters(t *testing.T, name string, cfg registry.Config, d dialect.Dialect, cluster func(prefix string, cfg registry.Config) *adapt.Cluster) *conformance.Report {
	t.Helper()
	cfg.AllowShortTTL = true
	b := backend{name: name, cfg: cfg, made: new(atomic.Int64), dialect: d, lock: cluster}
	r := storetest.Judge(t, b, conformance.OnlySections("contract", "concurrent", "fencing", "handles"), conformance.Level(conformance.Quick), conformance.Parallel(4))
	t.Logf("%s passes as: %s", name, r.Dialect)
	return r
}

// passes fails the test unless no case was convicted or left undecided.
func passes(t *testing.T, r *conformance.Report) {
	t.Helper()
	for _, c := range r.Cases {
		assert.NotContains(t, []conformance.Verdict{conformance.Convicted, conformance.Unknown}, c.Verdict, "%s: %s", c.ID(), c.Reason)
	}
	assert.Greater(t, r.Count(conformance.Pass), 10)
}

// convicted requires a conviction by the rule.
func convicted(t *testing.T, r *conformance.Report, rule conformance.RuleID) {
	t.Helper()
	broken := map[conformance.RuleID]bool{}
	for _, c := range r.Cases {
		if c.Conviction != nil {
			broken[c.Conviction.Rule] = true
		}
	}
	assert.True(t, broken[rule], "broken: %v", broken)
}

// short are the times of a lock whose store counts milliseconds.
var short = registry.Config{TTL: 400 * time.Millisecond, MaxClockSkew: 40 * time.Millisecond, FailureTimeout: time.Second}

func redisServer(t *testing.T) *redis.Client {
	server := storetest.Start(t, storetest.Program{
		Name: "redis-server",
		Args: func(dir string, port, _ int) []string {
			return []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", ""}
		},
		Up: func(ctx context.Context, addr string) error {
			c := redis.NewClient(&redis.Options{Addr: addr})
			defer c.Close()
			return c.Ping(ctx).Err()
		},
	})
	c := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestRedislock(t *testing.T) {
	client := redisServer(t)
	passes(t, judge(t, "redislock", short, func(prefix string, cfg registry.Config) adapt.Lock[*redislock.Lock] {
		return locks.Redislock(client, prefix, cfg.TTL)
	}))
}

func TestRedsync(t *testing.T) {
	client := redisServer(t)
	passes(t, judge(t, "redsync", short, func(prefix string, cfg registry.Config) adapt.Lock[*redsync.Mutex] {
		return locks.Redsync(client, prefix, cfg.TTL)
	}))
}

// The recipe keeps the grace too.
func TestRecipe(t *testing.T) {
	client, cfg := redisServer(t), short
	cfg.Grace = 200 * time.Millisecond
	r := judge(t, "redis recipe", cfg, func(prefix string, cfg registry.Config) adapt.Lock[*locks.Lease] {
		return locks.Recipe(client, prefix, cfg)
	})
	passes(t, r)
	assert.Contains(t, r.Dialect.Keeps, conformance.TokenMonotonic)
	assert.Contains(t, r.Dialect.Keeps, conformance.NoStaleWrite)
}

func postgres(t *testing.T) *pgxpool.Pool {
	connect := func(ctx context.Context, addr string) (*pgxpool.Pool, error) {
		return pgxpool.New(ctx, "postgres://postgres@"+addr+"/postgres?sslmode=disable&pool_max_conns=200")
	}
	server := storetest.Start(t, storetest.Program{
		Name: "postgres", Dirs: "/usr/lib/postgresql/*/bin", User: "postgres",
		Init: func(dir string) []string {
			return []string{"initdb", "-D", dir, "-U", "postgres", "-A", "trust", "--no-sync"}
		},
		Args: func(dir string, port, _ int) []string {
			return []string{"-D", dir, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "fsync=off"}
		},
		Up: func(ctx context.Context, addr string) error {
			p, err := connect(ctx, addr)
			if err != nil {
				return err
			}
			defer p.Close()
			return p.Ping(ctx)
		},
	})
	p, err := connect(t.Context(), server.Addr)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func TestAdvisoryLock(t *testing.T) {
	pool := postgres(t)
	probe, _ := locks.Advisory(pool, "")
	passes(t, judgeClusters(t, "postgres advisory lock", sessions, probe.Dialect(), func(prefix string, cfg registry.Config) *adapt.Cluster {
		lock, end := locks.Advisory(pool, prefix)
		return lock.Cluster(cfg).OnClose(end)
	}))
}

func TestRowLock(t *testing.T) {
	pool := postgres(t)
	_, err := pool.Exec(t.Context(), locks.RowSchema)
	require.NoError(t, err)
	passes(t, judge(t, "postgres row lock", short, func(prefix string, cfg registry.Config) adapt.Lock[locks.Row] {
		return locks.RowLock(pool, prefix, cfg)
	}))
}

func etcd(t *testing.T) *clientv3.Client {
	dial := func(addr string) (*clientv3.Client, error) {
		return clientv3.New(clientv3.Config{Endpoints: []string{addr}, DialTimeout: time.Second, Logger: zap.NewNop()})
	}
	server := storetest.Start(t, storetest.Program{
		Name: "etcd",
		Args: func(dir string, port, second int) []string {
			clients, peers := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", second)
			return []string{"--name", "judged", "--data-dir", dir, "--listen-client-urls", clients, "--advertise-client-urls", clients,
				"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "judged=" + peers,
				"--heartbeat-interval", "10", "--election-timeout", "50"}
		},
		Up: func(ctx context.Context, addr string) error {
			c, err := dial(addr)
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err = c.Get(ctx, "up")
			return err
		},
	})
	c, err := dial(server.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// seconds are the times of etcd, whose leases have whole seconds.
var seconds = registry.Config{TTL: time.Second, MaxClockSkew: 50 * time.Millisecond, FailureTimeout: time.Second}

// Unlock says yes to a holder that lost the lock long ago.
func TestMutex(t *testing.T) {
	client := etcd(t)
	convicted(t, judge(t, "etcd Mutex", seconds, func(prefix string, cfg registry.Config) adapt.Lock[*locks.EtcdMutex] {
		return locks.Mutex(client, prefix, cfg.TTL)
	}), "Release.fenced")
}

func TestElection(t *testing.T) {
	client := etcd(t)
	convicted(t, judge(t, "etcd Election", seconds, func(prefix string, cfg registry.Config) adapt.Lock[*locks.EtcdLeader] {
		return locks.Election(client, prefix, cfg.TTL)
	}), "Release.fenced")
}

// sessions are the times of locks that live as long as a session, each of which opens a
// connection: long beside what that takes on a busy machine.
var sessions = registry.Config{TTL: 4 * time.Second, MaxClockSkew: 200 * time.Millisecond, FailureTimeout: 4 * time.Second}

func zookeeper(t *testing.T) string {
	server := storetest.Start(t, storetest.Program{
		Name: "java",
		Args: func(dir string, port, _ int) []string {
			file := filepath.Join(dir, "zoo.cfg")
			text := fmt.Sprintf("tickTime=100\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n", dir, port)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
			return []string{"-Xmx256m", "-cp", zookeeperJar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file}
		},
		Up: func(ctx context.Context, addr string) error { return locks.ZooKeeperUp(ctx, addr) },
	})
	return server.Addr
}

const zookeeperJar = "/usr/share/java/zookeeper.jar" // of the package zookeeper

func TestZooKeeper(t *testing.T) {
	if _, err := os.Stat(zookeeperJar); err != nil {
		t.Skipf("not judged: %v; examples/backends/run.sh installs it", err)
	}
	addr := zookeeper(t)
	probe, _ := locks.ZooKeeper(addr, "", sessions.TTL)
	passes(t, judgeClusters(t, "ZooKeeper lock", sessions, probe.Dialect(), func(prefix string, cfg registry.Config) *adapt.Cluster {
		lock, end := locks.ZooKeeper(addr, prefix, cfg.TTL)
		return lock.Cluster(cfg).OnClose(end)
	}))
}
