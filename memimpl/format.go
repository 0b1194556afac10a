package memimpl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
)

// formatVersion is the version of what a registry file holds, see package logfile
// for how it holds it. A file is written anew whenever it is opened, so only the
// decoders need to know older versions: a new field of a registration is one more
// line in appendNode and, from its version on, in decoder.node.
//
// Version 1 was a bbolt database, which this program does not read. Version 2 has no
// floor.
//
//	header   version uint32, TTL, Grace, MaxClockSkew, FailureTimeout int64
//	batch    values, one after another:
//	  'a'    actor: namespace, name string, token, version uvarint, expiry int64, claim id [16]byte,
//	         holder's name string, holder's epoch uvarint (both empty: nobody)
//	  'n'    node: name string, epoch uvarint, last-seen int64, status byte, address string, instance id [16]byte
//	'f'    floor: token, version uvarint, namespace, name string (both empty, or an actor that has no record from here on)
//
// Integers are little-endian, a string is its length as uvarint and its bytes. Of
// several values of one actor or node the last counts.
const formatVersion = 3

// The kinds of values.
const (
	kindActor = 'a'
	kindNode  = 'n'
	kindFloor = 'f'
)

func appendString[S ~string](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendRecord(b []byte, p registry.Placement) []byte {
	b = append(b, kindActor)
	b = appendString(b, p.Actor.Namespace)
	b = appendString(b, p.Actor.Name)
	b = binary.AppendUvarint(b, uint64(p.Token))
	b = binary.AppendUvarint(b, uint64(p.Version))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Expiry))
	b = append(b, p.ClaimID[:]...)
	b = appendString(b, p.Holder.ID)
	return binary.AppendUvarint(b, uint64(p.Holder.Epoch))
}

func appendNode(b []byte, n registry.Node) []byte {
	b = append(b, kindNode)
	b = appendString(b, n.Ref.ID)
	b = binary.AppendUvarint(b, uint64(n.Ref.Epoch))
	b = binary.LittleEndian.AppendUint64(b, uint64(n.LastSeen))
	b = append(b, byte(n.Status))
	b = appendString(b, n.Info.Address)
	return append(b, n.Info.Instance[:]...)
}

// appendFloor appends a floor, and the actor that was forgotten for it, if one was.
func appendFloor(b []byte, f registry.Floor, forgotten registry.ActorID) []byte {
	b = append(b, kindFloor)
	b = binary.AppendUvarint(b, uint64(f.Token))
	b = binary.AppendUvarint(b, uint64(f.Version))
	b = appendString(b, forgotten.Namespace)
	return appendString(b, forgotten.Name)
}

var errShort = errors.New("value is too short")

// decoder reads values from what is left of a batch. After an error everything
// that it returns is zero.
type decoder struct {
	version uint32 // of the file
	left    []byte
	err     error

	namespace string // the last: most actors share one
	holder    registry.NodeID
}

// take returns the next n bytes.
func (d *decoder) take(n uint64) []byte {
	if d.err == nil && n > uint64(len(d.left)) {
		d.err = errShort
	}
	if d.err != nil {
		return nil
	}
	b := d.left[:n]
	d.left = d.left[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uvarint takes only the shortest encoding of a number: equal values have equal bytes.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.left)
	if d.err == nil && (n <= 0 || n > 1 && d.left[n-1] == 0) {
		d.err = errors.New("bad number")
	}
	if d.err != nil {
		return 0
	}
	d.left = d.left[n:]
	return v
}

func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

// same returns last when it is what b says, which saves a copy, and else a copy of b.
func same[S ~string](b []byte, last *S) S {
	if string(b) != string(*last) {
		*last = S(b)
	}
	return *last
}

func (d *decoder) record() (registry.Placement, error) {
	p := registry.Placement{Actor: registry.ActorID{Namespace: same(d.bytes(), &d.namespace), Name: string(d.bytes())}}
	p.Token = registry.Token(d.uvarint())
	p.Version = registry.Version(d.uvarint())
	p.Expiry = registry.Instant(d.uint64())
	copy(p.ClaimID[:], d.take(uint64(len(p.ClaimID))))
	p.Holder = registry.NodeRef{ID: same(d.bytes(), &d.holder), Epoch: registry.Epoch(d.uvarint())}
	if d.err != nil {
		return registry.Placement{}, d.err
	}
	return p, checkRecord(p)
}

// checkRecord refuses what cannot be a record: each grant adds one to token and version.
func checkRecord(p registry.Placement) error {
	if err := p.Actor.Validate(); err != nil {
		return err
	}
	if p.Token == 0 || uint64(p.Version) < uint64(p.Token) {
		return fmt.Errorf("token %d and version %d do not go together", p.Token, p.Version)
	}
	if p.Held() {
		return p.Holder.Validate()
	}
	return nil
}

func (d *decoder) node() (registry.Node, error) {
	n := registry.Node{Ref: registry.NodeRef{ID: registry.NodeID(d.bytes()), Epoch: registry.Epoch(d.uvarint())}}
	n.LastSeen = registry.Instant(d.uint64())
	n.Status = registry.NodeStatus(d.byte())
	n.Info.Address = string(d.bytes())
	copy(n.Info.Instance[:], d.take(uint64(len(n.Info.Instance))))
	if d.err != nil {
		return registry.Node{}, d.err
	}
	return n, checkNode(n)
}

// checkNode refuses what cannot be a registration.
func checkNode(n registry.Node) error {
	if n.Status == registry.AnyStatus {
		return errors.New("registration has no status")
	}
	for _, check := range []interface{ Validate() error }{n.Ref, n.Status, n.Info} {
		if err := check.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) floor() (f registry.Floor, forgotten registry.ActorID, err error) {
	f.Token = registry.Token(d.uvarint())
	f.Version = registry.Version(d.uvarint())
	forgotten = registry.ActorID{Namespace: string(d.bytes()), Name: string(d.bytes())}
	if err = d.err; err == nil && forgotten != (registry.ActorID{}) {
		err = forgotten.Validate()
	}
	if err == nil && (f.Token == 0 || uint64(f.Version) < uint64(f.Token)) {
		err = fmt.Errorf("token %d and version %d do not go together", f.Token, f.Version)
	}
	return f, forgotten, err
}

// visitor takes what is on a file, value by value.
type visitor struct {
	record func(registry.Placement)
	node   func(registry.Node)
	floor  func(f registry.Floor, forgotten registry.ActorID) // which is zero for none
}

// batch gives the values of a batch to c, in order.
func (d *decoder) batch(b []byte, c visitor) error {
	d.left, d.err = b, nil
	for len(d.left) > 0 {
		switch kind := d.byte(); kind {
		case kindActor:
			p, err := d.record()
			if err != nil {
				return fmt.Errorf("record of %v: %w", p.Actor, err)
			}
			c.record(p)
		case kindNode:
			n, err := d.node()
			if err != nil {
				return fmt.Errorf("registration of %s: %w", n.Ref.ID, err)
			}
			c.node(n)
		case kindFloor:
			f, forgotten, err := d.floor()
			if err != nil {
				return fmt.Errorf("floor: %w", err)
			}
			c.floor(f, forgotten)
		default:
			return fmt.Errorf("value of unknown kind %q", kind)
		}
	}
	return nil
}

const headerSize = 4 + 4*8

func encodeHeader(cfg registry.Config) []byte {
	b := binary.LittleEndian.AppendUint32(nil, formatVersion)
	for _, d := range []time.Duration{cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout} {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	return b
}

// decodeHeader returns the version and the bounds of a file. The version comes
// first: what follows it, in a version that is not known, is not looked at.
func decodeHeader(b []byte) (version uint32, cfg registry.Config, err error) {
	if len(b) < 4 {
		return 0, cfg, fmt.Errorf("%w: its header has %d bytes", ErrDamaged, len(b))
	}
	if version = binary.LittleEndian.Uint32(b); version < 2 || version > formatVersion {
		return 0, cfg, fmt.Errorf("%w: version %d, this program knows version %d", ErrFormat, version, formatVersion)
	}
	if len(b) != headerSize {
		return 0, cfg, fmt.Errorf("%w: its header has %d bytes, want %d", ErrDamaged, len(b), headerSize)
	}
	at := func(i int) time.Duration { return time.Duration(binary.LittleEndian.Uint64(b[4+8*i:])) }
	cfg = registry.Config{
		TTL: at(0), Grace: at(1), MaxClockSkew: at(2), FailureTimeout: at(3),
		AllowShortTTL: true, // was the creator's to ask for
	}
	if err := cfg.Validate(); err != nil {
		return 0, registry.Config{}, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	return version, cfg, nil
}
