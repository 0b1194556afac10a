package lookup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/cluster"

	"github.com/kelpie-registry/registry"
)

// ErrExpelled is why a member's lookup ends by itself: the others found the member
// silent for the failure timeout, as after a pause. The framework does not take a
// member back under its ID: the process has to start again.
var ErrExpelled = errors.New("the member was silent for too long, and is no member any more")

// Members returns a cluster.ClusterProvider: the members are those that registered
// through their lookups, and have not been marked failed. All members and clients are
// configured with the same kinds.
func (l *Lookup) Members() cluster.ClusterProvider { return &members{lookup: l} }

type members struct{ lookup *Lookup }

// StartMember implements cluster.ClusterProvider. The lookup registers the member.
func (m *members) StartMember(c *cluster.Cluster) error { return m.StartClient(c) }

// StartClient implements cluster.ClusterProvider.
func (m *members) StartClient(c *cluster.Cluster) error {
	kinds := []string{cluster.TopicActorKind}
	for kind := range c.Config.Kinds {
		kinds = append(kinds, kind)
	}
	go m.watch(c, kinds)
	return nil
}

// Shutdown implements cluster.ClusterProvider. The lookup's Shutdown ends it.
func (m *members) Shutdown(bool) error { return nil }

// watch tells the cluster who its members are, until the lookup ends. While the
// registry cannot be read they stay who they were.
func (m *members) watch(c *cluster.Cluster, kinds []string) {
	ctx, every := m.lookup.ctx, time.NewTicker(m.lookup.o.Config.FailureTimeout/6)
	defer every.Stop()
	for {
		all, err := m.list(ctx, kinds)
		if err == nil {
			c.MemberList.UpdateClusterTopology(all)
		} else if ctx.Err() == nil {
			c.Logger().Warn("the members could not be read", slog.Any("error", err))
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *members) list(ctx context.Context, kinds []string) (all cluster.Members, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.lookup.o.Config.FailureTimeout/6)
	defer cancel()
	for n, err := range registry.AllNodes(ctx, m.lookup.o.Handle, registry.NodeActive) {
		if err != nil {
			return nil, err
		}
		host, text, err := net.SplitHostPort(n.Info.Address)
		if err != nil {
			return nil, fmt.Errorf("%v is no member of this cluster: %w", n.Ref, err)
		}
		port, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%v is no member of this cluster: %w", n.Ref, err)
		}
		all = append(all, &cluster.Member{Id: string(n.Ref.ID), Host: host, Port: int32(port), Kinds: kinds})
	}
	return all, nil
}
