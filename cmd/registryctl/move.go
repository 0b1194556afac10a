package main

import (
	"bufio"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// exportFormat is the version of the form of an export.
const exportFormat = 1

// maxLine bounds a line of an export, in bytes; the longest names take some 4,000.
const maxLine = 64 << 10

// line is one line of an export: first the configuration, then the nodes, then the
// records, then the number of the lines before it, which shows that it is whole.
type line struct {
	Format int              `json:"format,omitempty"`
	Config *registry.Config `json:"config,omitempty"`
	Node   *op.NodeFields   `json:"node,omitempty"`
	Record *op.RecordFields `json:"record,omitempty"`
	Lines  int              `json:"lines,omitempty"`
	Floor  *registry.Floor  `json:"floor,omitempty"` // in the last line, of a registry that has forgotten something
}

func (t *tool) export() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print the whole registry as JSON Lines, for import",
		Long: `Export prints the configuration, the nodes and the records, one JSON object a line,
and at the end how many lines that were. Of a registry in use, each line is true
at some instant of the export, not all at the same; stop the registry for one that is.`,
		Args: cobra.NoArgs,
		RunE: t.with(func(cmd *cobra.Command, s store, _ []string) error {
			cfg, err := s.Config(cmd.Context())
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			p := newProgress(cmd.ErrOrStderr(), "lines")
			lines := 0
			put := func(l line) error { lines++; p.at(lines); return printJSON(w, l) }
			records := func() error {
				return s.Records(cmd.Context(), func(r registry.Placement) error { return put(line{Record: recordForm(r)}) })
			}
			nodes := func() error {
				return s.Nodes(cmd.Context(), func(n registry.Node) error { return put(line{Node: nodeForm(n)}) })
			}
			for _, step := range []func() error{
				func() error { return put(line{Format: exportFormat, Config: &cfg}) },
				nodes, records,
				func() error { // what was forgotten while the records were read is below this floor
					last := line{Lines: lines}
					floor, err := s.Floor(cmd.Context())
					if err != nil {
						return err
					}
					if floor != (registry.Floor{}) {
						last.Floor = &floor
					}
					return printJSON(w, last)
				},
				w.Flush,
			} {
				if err := step(); err != nil {
					return err
				}
			}
			p.end()
			return nil
		}),
	}
}

func (t *tool) importing() *cobra.Command {
	return &cobra.Command{
		Use:   "import",
		Short: "Make a registry from an export on the standard input, where there is none",
		Args:  cobra.NoArgs,
		RunE: t.with(func(cmd *cobra.Command, s store, _ []string) error {
			stdin, err := console.Open(cmd.Context(), "-", cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer stdin.Close()
			in := &reader{in: wire.NewLines(stdin, maxLine)}
			first, err := in.next()
			if err != nil {
				return err
			}
			if first.Format != exportFormat || first.Config == nil {
				return usage.Errorf("the input is no export of format %d: it does not begin with a configuration", exportFormat)
			}
			if err := in.advance(); err != nil {
				return err
			}
			if err := s.Import(cmd.Context(), *first.Config, in.nodes(), in.records(), in.floor); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "imported %d lines\n", in.ahead.Lines)
			return nil
		}),
	}
}

// reader reads an export, one line ahead.
type reader struct {
	in    wire.Lines
	lines int
	ahead line
}

func (r *reader) next() (l line, err error) {
	if !r.in.Scan() && r.in.Err() == nil {
		return line{}, nil
	}
	r.lines++
	if err = r.in.Err(); err == nil {
		err = wire.Decode(r.in.Bytes(), &l)
	}
	if err == nil && !l.one() {
		err = errors.New("it is not one configuration, node, record or number of lines")
	}
	if err != nil {
		return l, usage.Errorf("line %d of the input: %w", r.lines, err)
	}
	return l, nil
}

// one reports whether a line tells one thing.
func (l line) one() bool {
	things := 0
	for _, is := range []bool{l.Config != nil, l.Node != nil, l.Record != nil, l.Lines != 0} {
		if is {
			things++
		}
	}
	return things == 1
}

func (r *reader) advance() (err error) {
	r.ahead, err = r.next()
	return err
}

// nodes yields the nodes that come next.
func (r *reader) nodes() iter.Seq2[registry.Node, error] {
	return items(r, func(l line) (registry.Node, bool, error) {
		f := op.ResultFields{Node: l.Node, Found: true}
		res, err := f.Result(op.GetNode)
		return res.Node, l.Node != nil, err
	})
}

// records yields the records that come next, and an error when what is behind them is
// not the end of a whole export.
func (r *reader) records() iter.Seq2[registry.Placement, error] {
	return func(yield func(registry.Placement, error) bool) {
		for p, err := range r.allRecords() {
			if !yield(p, err) {
				return
			}
		}
		if r.ahead.Lines == 0 || r.ahead.Lines != r.lines-1 {
			yield(registry.Placement{}, usage.Errorf("the input is not whole: line %d is not the number of those before it", r.lines))
			return
		}
		if r.in.Scan() {
			yield(registry.Placement{}, usage.Errorf("the input goes on after line %d, which says that it is whole", r.lines))
		}
	}
}

// floor returns the floor of the line behind the records.
func (r *reader) floor() registry.Floor {
	if r.ahead.Floor == nil {
		return registry.Floor{}
	}
	return *r.ahead.Floor
}

func (r *reader) allRecords() iter.Seq2[registry.Placement, error] {
	return items(r, func(l line) (registry.Placement, bool, error) {
		f := op.ResultFields{Record: l.Record, Found: true}
		res, err := f.Result(op.Lookup)
		return res.Record, l.Record != nil, err
	})
}

func items[T any](r *reader, of func(line) (T, bool, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			item, is, err := of(r.ahead)
			if !is {
				return
			}
			if err != nil {
				yield(item, usage.Errorf("line %d of the input: %w", r.lines, err))
				return
			}
			if err := r.advance(); err != nil {
				yield(item, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}
