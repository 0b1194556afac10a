package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/op"
)

// with runs a command on the store that the flags name.
func (t *tool) with(do func(cmd *cobra.Command, s store, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, closing, err := t.open()
		if err != nil {
			return err
		}
		defer closing()
		return do(cmd, s, args)
	}
}

// actorNamed is the actor that a command line names.
func actorNamed(args []string) (registry.ActorID, error) {
	a := registry.ActorID{Namespace: args[0], Name: args[1]}
	return a, a.Validate()
}

// statusNamed is the status that a flag names.
func statusNamed(name string) (registry.NodeStatus, error) {
	for s := registry.AnyStatus; s.Validate() == nil; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, usage.Errorf("--status is %q, not active, failed, left or any", name)
}

// Records and nodes are printed, exported and imported in the JSON form that
// histories and the protocol have.

func recordForm(p registry.Placement) *op.RecordFields {
	r := op.Result{Record: p}
	return r.Fields().Record
}

func nodeForm(n registry.Node) *op.NodeFields {
	r := op.Result{Node: n}
	return r.Fields().Node
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func instant(i registry.Instant) string { return i.Time().UTC().Format(time.RFC3339Nano) }

func (t *tool) printRecord(w io.Writer, p registry.Placement) error {
	if t.json {
		return printJSON(w, recordForm(p))
	}
	_, err := fmt.Fprintf(w, "%s\t%v\ttoken %d\tversion %d\texpiry %s\n", p.Actor, p.Holder, p.Token, p.Version, instant(p.Expiry))
	return err
}

func (t *tool) printNode(w io.Writer, n registry.Node) error {
	if t.json {
		return printJSON(w, nodeForm(n))
	}
	_, err := fmt.Fprintf(w, "%v\t%v\t%s\tseen %s\n", n.Ref, n.Status, n.Info.Address, instant(n.LastSeen))
	return err
}

func (t *tool) lookup() *cobra.Command {
	return &cobra.Command{
		Use:   "lookup NAMESPACE NAME",
		Short: "The record of an actor, as it is stored",
		Args:  cobra.ExactArgs(2),
		RunE: t.with(func(cmd *cobra.Command, s store, args []string) error {
			a, err := actorNamed(args)
			if err != nil {
				return err
			}
			p, found, err := s.Lookup(cmd.Context(), a)
			switch {
			case err != nil:
				return err
			case !found:
				fmt.Fprintln(cmd.ErrOrStderr(), "no record")
				return errFound
			}
			return t.printRecord(cmd.OutOrStdout(), p)
		}),
	}
}

func (t *tool) actors() *cobra.Command {
	return &cobra.Command{
		Use:   "actors NODE [EPOCH]",
		Short: "The actors that a node holds: in its latest epoch, or in an earlier one",
		Args:  cobra.RangeArgs(1, 2),
		RunE: t.with(func(cmd *cobra.Command, s store, args []string) error {
			ref := registry.NodeRef{ID: registry.NodeID(args[0])}
			if err := ref.ID.Validate(); err != nil {
				return err
			}
			if len(args) == 2 {
				epoch, err := strconv.ParseUint(args[1], 10, 64)
				if err != nil || epoch == 0 {
					return usage.Errorf("epoch %q is not a number from 1", args[1])
				}
				ref.Epoch = registry.Epoch(epoch)
			} else if err := s.Nodes(cmd.Context(), func(n registry.Node) error {
				if n.Ref.ID == ref.ID {
					ref = n.Ref
				}
				return nil
			}); err != nil {
				return err
			}
			if ref.Epoch == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no such node")
				return errFound
			}
			return s.HeldBy(cmd.Context(), ref, func(p registry.Placement) error { return t.printRecord(cmd.OutOrStdout(), p) })
		}),
	}
}

func (t *tool) nodes() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "The registrations",
		Args:  cobra.NoArgs,
		RunE: t.with(func(cmd *cobra.Command, s store, _ []string) error {
			only, err := statusNamed(status)
			if err != nil {
				return err
			}
			return s.Nodes(cmd.Context(), func(n registry.Node) error {
				if only != registry.AnyStatus && n.Status != only {
					return nil
				}
				return t.printNode(cmd.OutOrStdout(), n)
			})
		}),
	}
	cmd.Flags().StringVar(&status, "status", registry.AnyStatus.String(), "only those that are active, failed or left")
	return cmd
}

func (t *tool) watch() *cobra.Command {
	var changes int
	var since uint64
	cmd := &cobra.Command{
		Use:   "watch NAMESPACE NAME",
		Short: "Print the record of an actor at every change that is seen; quick changes may be skipped",
		Args:  cobra.ExactArgs(2),
		RunE: t.with(func(cmd *cobra.Command, s store, args []string) error {
			actor, err := actorNamed(args)
			if err != nil {
				return err
			}
			seen := registry.Version(since)
			for n := 0; changes == 0 || n < changes; n++ {
				p, err := s.Watch(cmd.Context(), actor, seen)
				if cmd.Context().Err() != nil {
					return nil // interrupted, which is how a watch ends
				}
				if err != nil {
					return err
				}
				if err := t.printRecord(cmd.OutOrStdout(), p); err != nil {
					return err
				}
				seen = p.Version
			}
			return nil
		}),
	}
	cmd.Flags().IntVar(&changes, "changes", 0, "end after that many (0: go on until interrupted)")
	cmd.Flags().Uint64Var(&since, "since", 0, "the version that is known already")
	return cmd
}

// sums are what stats counts.
type sums struct {
	Config   registry.Config `json:"config"`
	Records  int             `json:"records"`
	Held     int             `json:"held"`
	Live     int             `json:"live"`
	InGrace  int             `json:"in_grace"`
	Lapsed   int             `json:"lapsed"`
	Nodes    map[string]int  `json:"nodes"` // by status
	MaxToken uint64          `json:"max_token,string"`
	Holders  int             `json:"holders"`
	Most     int             `json:"most_held_by_one"`
}

func (t *tool) stats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Numbers of records and nodes; leases by this machine's clock",
		Args:  cobra.NoArgs,
		RunE: t.with(func(cmd *cobra.Command, s store, _ []string) error {
			n := sums{Nodes: map[string]int{}}
			cfg, err := s.Config(cmd.Context())
			if err != nil {
				return err
			}
			n.Config = cfg
			p := newProgress(cmd.ErrOrStderr(), "records")
			defer p.end()
			held := map[registry.NodeRef]int{}
			now := registry.SystemClock().Now()
			err = errors.Join(s.Nodes(cmd.Context(), func(node registry.Node) error { n.Nodes[node.Status.String()]++; return nil }),
				s.Records(cmd.Context(), func(r registry.Placement) error {
					n.count(r, now)
					if r.Held() {
						held[r.Holder]++
						n.Most = max(n.Most, held[r.Holder])
					}
					p.at(n.Records)
					return nil
				}))
			if err != nil {
				return err
			}
			n.Holders = len(held)
			if t.json {
				return printJSON(cmd.OutOrStdout(), n)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "records %d, held %d by %d incarnations (at most %d by one): live %d, in grace %d, lapsed %d; highest token %d\nnodes: active %d, failed %d, left %d\nTTL %v, grace %v, skew %v, failure timeout %v\n",
				n.Records, n.Held, n.Holders, n.Most, n.Live, n.InGrace, n.Lapsed, n.MaxToken,
				n.Nodes["active"], n.Nodes["failed"], n.Nodes["left"], cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout)
			return err
		}),
	}
}

func (n *sums) count(p registry.Placement, now registry.Instant) {
	n.Records++
	n.MaxToken = max(n.MaxToken, uint64(p.Token))
	if !p.Held() {
		return
	}
	n.Held++
	switch {
	case now < p.Expiry:
		n.Live++
	case now < p.Expiry.Add(n.Config.Grace):
		n.InGrace++
	default:
		n.Lapsed++
	}
}
