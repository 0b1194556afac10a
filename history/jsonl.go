package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// SchemaVersion is the version of the format that Write writes. Read reads it
// and all before it.
const SchemaVersion = 2

// format names the file kind in its first line.
const format = "kelpie-history"

// maxLine bounds one line of a history, in bytes: a listing of 1000 rows with
// the longest names fits.
const maxLine = 4 << 20

type headerLine struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Config  configLine        `json:"config"`
	Dialect dialect.Dialect   `json:"dialect,omitzero"`
	Meta    map[string]string `json:"meta,omitempty"`
}

type configLine struct {
	TTL            time.Duration `json:"ttl"`
	Grace          time.Duration `json:"grace"`
	MaxClockSkew   time.Duration `json:"max_clock_skew"`
	FailureTimeout time.Duration `json:"failure_timeout"`
}

// opLine is an operation in version 2. No result and no return: it never returned.
type opLine struct {
	Client   string           `json:"client"`
	Call     op.CallFields    `json:"call"`
	Result   *op.ResultFields `json:"result,omitempty"`
	Invoked  int64            `json:"invoked"`
	Returned *int64           `json:"returned,omitempty"`
	Clock    clockLine        `json:"clock"`
}

// servedLine is a service. No until: it had not stopped.
type servedLine struct {
	Client string        `json:"client"`
	Serves *servesFields `json:"serves"`
	From   int64         `json:"from"`
	Until  *int64        `json:"until,omitempty"`
	Why    string        `json:"why,omitempty"`
	Clock  []readingLine `json:"clock,omitempty"`
}

// noteLine is a note.
type noteLine struct {
	Note   string `json:"note"`
	Client string `json:"of,omitempty"`
	At     int64  `json:"at"`
}

type servesFields struct {
	Actor op.ActorFields `json:"actor"`
	Token string         `json:"token"`
}

type readingLine struct {
	At  int64            `json:"at"`
	Now registry.Instant `json:"now"`
}

type clockLine struct {
	Seen     []registry.Instant `json:"seen,omitempty"`
	Interval bool               `json:"interval,omitempty"`
	Lo       *registry.Instant  `json:"lo,omitempty"`
	Hi       *registry.Instant  `json:"hi,omitempty"`
}

// Write writes h as JSON Lines: first a header with the format's name, its
// version and the cluster's configuration, then one line for each note, and one for
// each operation, with those for services at their place among them. See FORMAT.md. Only UTF-8 strings
// can be written.
func Write(w io.Writer, h History) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	c := h.Config
	if err := enc.Encode(headerLine{format, SchemaVersion, configLine{c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout}, h.Dialect, h.Meta}); err != nil {
		return err
	}
	for _, n := range h.Notes {
		if err := enc.Encode(noteLine{n.Text, n.Client, n.At}); err != nil {
			return err
		}
	}
	served := h.Served
	for i := range h.Ops {
		for len(served) > 0 && served[0].From < h.Ops[i].Invoked {
			if err := writeServed(enc, &served[0]); err != nil {
				return err
			}
			served = served[1:]
		}
		err := h.Ops[i].check()
		if err == nil {
			err = enc.Encode(lineOf(&h.Ops[i]))
		}
		if err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	for i := range served {
		if err := writeServed(enc, &served[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

func writeServed(enc *json.Encoder, s *Service) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("service of %v by %s: %w", s.Actor, s.Client, err)
	}
	l := servedLine{Client: s.Client, Serves: &servesFields{op.ActorFields(s.Actor), strconv.FormatUint(uint64(s.Token), 10)}, From: s.From, Why: s.Why}
	if s.Until != Never {
		l.Until = &s.Until
	}
	for _, r := range s.Clock {
		l.Clock = append(l.Clock, readingLine(r))
	}
	return enc.Encode(l)
}

// Read reads what Write wrote, in this or an earlier version of the format. It
// is strict: unknown fields, unknown names, stamps that are out of order, and data
// after a line's value are errors, which name the line.
func Read(r io.Reader) (History, error) {
	in, err := NewReader(r)
	if err != nil {
		return History{}, err
	}
	for {
		switch err := in.line(); err {
		case nil:
		case io.EOF:
			return in.h, nil
		default:
			return History{}, err
		}
	}
}

// Reader reads a history operation by operation, with the strictness of [Read].
// Services are read over.
type Reader struct {
	in      wire.Lines
	lines   int
	version int
	ops     int     // that Next returned
	h       History // for Next without what was returned, but for the last
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{in: wire.NewLines(r, maxLine)}
	if err := in.line(); err == io.EOF {
		return nil, errors.New("line 1: the history is empty, want a header line")
	} else if err != nil {
		return nil, err
	}
	return in, nil
}

// Config is the configuration of the history's cluster.
func (r *Reader) Config() registry.Config { return r.h.Config }

// Dialect is the dialect in which the history is to be judged.
func (r *Reader) Dialect() dialect.Dialect { return r.h.Dialect }

// Next returns the next operation, and io.EOF after the last.
func (r *Reader) Next() (Op, error) {
	for n := len(r.h.Ops); len(r.h.Ops) == n; {
		if err := r.line(); err != nil {
			return Op{}, err
		}
		r.h.Served, r.h.Notes = r.h.Served[max(0, len(r.h.Served)-1):], nil
	}
	o := r.h.Ops[len(r.h.Ops)-1]
	r.h.Ops = append(r.h.Ops[:0], o) // the order is compared with the last
	o.ID = r.ops
	r.ops++
	return o, nil
}

// again reads a header that stands between operations: of a history that was written
// in parts. It says what the first one said.
func (r *Reader) again() error {
	var h History
	version, err := h.readHeader(r.in.Bytes())
	if err == nil && (version != r.version || h.Config != r.h.Config || h.Dialect != r.h.Dialect) {
		return errors.New("the header is another one than the first")
	}
	return err
}

// line reads a line into the history.
func (r *Reader) line() (err error) {
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return fmt.Errorf("line %d: %w", r.lines+1, err)
		}
		return io.EOF
	}
	switch r.lines++; {
	case r.lines == 1:
		r.version, err = r.h.readHeader(r.in.Bytes())
	case bytes.HasPrefix(r.in.Bytes(), []byte(`{"format":`)):
		err = r.again()
	default:
		err = r.h.readLine(r.in.Bytes(), r.version)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", r.lines, err)
	}
	return nil
}

func (h *History) readHeader(data []byte) (version int, err error) {
	var l headerLine
	if err := wire.Decode(data, &l); err != nil {
		return 0, err
	}
	switch {
	case l.Format != format:
		return 0, fmt.Errorf("format is %q, want %q", l.Format, format)
	case l.Version < 1 || l.Version > SchemaVersion:
		return 0, fmt.Errorf("version is %d, this reader knows 1 to %d", l.Version, SchemaVersion)
	}
	c := l.Config
	h.Config = registry.Config{TTL: c.TTL, Grace: c.Grace, MaxClockSkew: c.MaxClockSkew, FailureTimeout: c.FailureTimeout, AllowShortTTL: c.TTL < registry.MinTTL}
	h.Dialect, h.Meta = l.Dialect, l.Meta
	return l.Version, h.Config.Validate()
}

// readLine reads a service, a note or an operation. A line that "serves" is a service
// and one with a "note" is a note, whatever else is wrong with it.
func (h *History) readLine(data []byte, version int) error {
	var kind struct {
		Serves *json.RawMessage `json:"serves"`
		Note   *json.RawMessage `json:"note"`
	}
	if version > 1 && json.Unmarshal(data, &kind) == nil {
		switch {
		case kind.Serves != nil:
			return h.readServed(data)
		case kind.Note != nil:
			return h.readNote(data)
		}
	}
	return h.readOp(data, version)
}

func (h *History) readNote(data []byte) error {
	var l noteLine
	if err := wire.Decode(data, &l); err != nil {
		return err
	}
	if n := len(h.Notes); n > 0 && l.At < h.Notes[n-1].At {
		return fmt.Errorf("at is %d, the note before has %d: lines are in their order", l.At, h.Notes[n-1].At)
	}
	h.Notes = append(h.Notes, Note{l.At, l.Client, l.Note})
	return nil
}

func (h *History) readServed(data []byte) error {
	var l servedLine
	if err := wire.Decode(data, &l); err != nil {
		return err
	}
	token, err := strconv.ParseUint(l.Serves.Token, 10, 64)
	if err != nil {
		return fmt.Errorf("serves: token: %w", err)
	}
	s := Service{Client: l.Client, Actor: registry.ActorID(l.Serves.Actor), Token: registry.Token(token), From: l.From, Until: Never, Why: l.Why}
	if l.Until != nil {
		s.Until = *l.Until
	}
	for _, r := range l.Clock {
		s.Clock = append(s.Clock, Reading(r))
	}
	if n := len(h.Served); n > 0 && s.From < h.Served[n-1].From {
		return fmt.Errorf("from is %d, the service before has %d: lines are in their order", s.From, h.Served[n-1].From)
	}
	h.Served = append(h.Served, s)
	return s.check()
}

func (h *History) readOp(data []byte, version int) error {
	read := readLine
	if version == 1 {
		read = readLine1
	}
	o, err := read(data)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	o.ID = len(h.Ops)
	if n := len(h.Ops); n > 0 && o.Invoked < h.Ops[n-1].Invoked {
		return fmt.Errorf("invoked is %d, the operation before has %d: lines are in the order of calls", o.Invoked, h.Ops[n-1].Invoked)
	}
	h.Ops = append(h.Ops, o)
	return nil
}

// check refuses what no recorder makes and a file cannot tell.
func (o *Op) check() error {
	switch {
	case !Recorded(o.Call.Kind):
		return fmt.Errorf("a history has no %v: each renewal of a batch is a Renew, and closing is not recorded", o.Call.Kind)
	case o.Returned <= o.Invoked:
		return fmt.Errorf("returned is %d, invoked is %d", o.Returned, o.Invoked)
	case (o.Returned == Never) != (o.Result.Outcome == op.Pending):
		return errors.New("exactly the operations that are pending never returned")
	}
	return nil
}

func lineOf(o *Op) opLine {
	l := opLine{Client: o.Client, Call: o.Call.Fields(), Invoked: o.Invoked, Clock: clockLine{Seen: o.Clock.Seen}}
	if o.Returned != Never {
		fields := o.Result.Fields()
		l.Result, l.Returned = &fields, &o.Returned
	}
	if o.Clock.Interval {
		if o.Clock.Lo != math.MinInt64 {
			l.Clock.Lo = &o.Clock.Lo
		}
		if o.Clock.Hi != math.MaxInt64 {
			l.Clock.Hi = &o.Clock.Hi
		}
		l.Clock.Interval = true
	}
	return l
}

func readLine(data []byte) (Op, error) {
	var l opLine
	if err := wire.Decode(data, &l); err != nil {
		return Op{}, err
	}
	o := Op{Client: l.Client, Invoked: l.Invoked, Returned: Never, Result: op.Result{Outcome: op.Pending}}
	var err error
	if o.Call, err = l.Call.Call(); err != nil {
		return o, fmt.Errorf("call: %w", err)
	}
	if (l.Result == nil) != (l.Returned == nil) {
		return o, errors.New("an operation has a result and returned, or neither")
	}
	if l.Result != nil {
		if o.Result, err = l.Result.Result(o.Call.Kind); err != nil {
			return o, fmt.Errorf("result: %w", err)
		}
		o.Returned = *l.Returned
	}
	o.Clock, err = l.Clock.readings()
	return o, err
}

func (l *clockLine) readings() (Readings, error) {
	if !l.Interval {
		if l.Lo != nil || l.Hi != nil {
			return Readings{}, errors.New("clock: lo and hi belong to an interval")
		}
		return Readings{Seen: l.Seen}, nil
	}
	r := AnyReading()
	if l.Lo != nil {
		r.Lo = *l.Lo
	}
	if l.Hi != nil {
		r.Hi = *l.Hi
	}
	if r.Lo > r.Hi || l.Seen != nil {
		return Readings{}, errors.New("clock: an interval is from lo to a hi not below it, and has no readings seen")
	}
	return r, nil
}
