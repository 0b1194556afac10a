package fdbimpl

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/kelpie-registry/registry"
)

// Stored values are a format byte and fields of fixed width, big-endian, in the
// order of the structs below; a string is its length in two bytes and its bytes.
// There is one encoding of each value, and a value that is anything else is
// refused.
const valueFormat = 1

// standingFormat is the format byte of a standing that names the instance of its
// process, which stands behind the other fields. One without keeps valueFormat.
const standingFormat = 2

// schemaVersion names the layout of keys and values as a whole. It is in the
// cluster record, so that a handle of another layout does not open the store.
// schemaFloors is the layout of a store that forgets: a program that does not know of
// floors would grant tokens again. A store gets it when it is first opened to forget.
const (
	schemaVersion = 1
	schemaFloors  = 2
)

// CorruptError reports a stored value that this package did not write. It matches
// [registry.ErrUnavailable]: nothing happened.
type CorruptError struct {
	Key     string // the key, printable
	Problem string
}

// Error names the key and what is wrong with its value.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: value of key %s is corrupt: %s", registry.ErrUnavailable, e.Key, e.Problem)
}

// Unwrap returns [registry.ErrUnavailable].
func (e *CorruptError) Unwrap() error { return registry.ErrUnavailable }

// tenure is the part of an actor's record that changes hands.
type tenure struct {
	holder  registry.NodeRef
	token   registry.Token
	claimID registry.ClaimID
}

// term is the part of an actor's record that every mutation writes.
type term struct {
	version registry.Version
	expiry  registry.Instant
	mark    mark
}

// held is a row of a holder's index: the record less what its key says.
type held struct {
	token   registry.Token
	claimID registry.ClaimID
	version registry.Version
	expiry  registry.Instant
}

// standing is the part of a node's registration that claims depend on.
type standing struct {
	stamp
	epoch  registry.Epoch
	status registry.NodeStatus
	info   registry.NodeInfo
}

// seen is the part of a node's registration that heartbeats write.
type seen struct {
	stamp
	at registry.Instant
}

// floorValue is the floor of a part of the actors.
type floorValue struct {
	stamp
	registry.Floor
}

func (v floorValue) encode() []byte {
	w := newWriter()
	w.stamp(v.stamp)
	w.uint64(uint64(v.Token))
	w.uint64(uint64(v.Version))
	return w.buf
}

func decodeFloor(b []byte) (v floorValue, err error) {
	r := newReader(b)
	v.stamp = r.stamp()
	v.Token = registry.Token(r.uint64())
	v.Version = registry.Version(r.uint64())
	if err := r.end(); err != nil {
		return floorValue{}, err
	}
	if v.rev == 0 || v.Token == 0 || uint64(v.Version) < uint64(v.Token) {
		return floorValue{}, fmt.Errorf("revision %d, token %d and version %d do not go together", v.rev, v.Token, v.Version)
	}
	return v, nil
}

// floorShards is the number of parts that actors are in, each with a floor of its own.
const floorShards = 256

// floorOf is the part of the actors that an actor belongs to: floorShards of them,
// each with a floor of its own, told apart by a hash that is part of the schema.
//
// A floor is written by purges of its part alone, one for purgeSize records, and read by
// claims. Those are the only transactions that two actors of one part share a key in.
func floorOf(a registry.ActorID) byte {
	// FNV-1a of the namespace, a byte that no name has, and the name.
	const offset, prime = 2166136261, 16777619
	sum := uint32(offset)
	for i := range len(a.Namespace) {
		sum = (sum ^ uint32(a.Namespace[i])) * prime
	}
	sum *= prime // of the byte 0
	for i := range len(a.Name) {
		sum = (sum ^ uint32(a.Name[i])) * prime
	}
	return byte(sum ^ sum>>8 ^ sum>>16 ^ sum>>24)
}

func (v tenure) encode() []byte {
	w := newWriter()
	w.string(string(v.holder.ID))
	w.uint64(uint64(v.holder.Epoch))
	w.uint64(uint64(v.token))
	w.bytes(v.claimID[:])
	return w.buf
}

func decodeTenure(b []byte) (v tenure, err error) {
	r := newReader(b)
	v.holder.ID = registry.NodeID(r.string())
	v.holder.Epoch = registry.Epoch(r.uint64())
	v.token = registry.Token(r.uint64())
	r.bytes(v.claimID[:])
	if err := r.end(); err != nil {
		return tenure{}, err
	}
	if !v.holder.IsZero() && v.holder.Validate() != nil {
		return tenure{}, fmt.Errorf("holder %q epoch %d is none", v.holder.ID, v.holder.Epoch)
	}
	if err := v.token.Validate(); err != nil {
		return tenure{}, err
	}
	return v, nil
}

func (v term) encode() []byte {
	w := newWriter()
	w.uint64(uint64(v.version))
	w.uint64(uint64(v.expiry))
	w.bytes(v.mark[:])
	return w.buf
}

func decodeTerm(b []byte) (v term, err error) {
	r := newReader(b)
	v.version = registry.Version(r.uint64())
	v.expiry = registry.Instant(r.uint64())
	r.bytes(v.mark[:])
	if err := r.end(); err != nil {
		return term{}, err
	}
	if v.version == 0 {
		return term{}, errors.New("version is 0")
	}
	return v, nil
}

func (v term) stamp() stamp { return stamp{rev: uint64(v.version), mark: v.mark} }

func (v held) encode() []byte {
	w := newWriter()
	w.uint64(uint64(v.token))
	w.bytes(v.claimID[:])
	w.uint64(uint64(v.version))
	w.uint64(uint64(v.expiry))
	return w.buf
}

func decodeHeld(b []byte) (v held, err error) {
	r := newReader(b)
	v.token = registry.Token(r.uint64())
	r.bytes(v.claimID[:])
	v.version = registry.Version(r.uint64())
	v.expiry = registry.Instant(r.uint64())
	if err := r.end(); err != nil {
		return held{}, err
	}
	if v.token == 0 || v.version == 0 {
		return held{}, fmt.Errorf("token %d, version %d: neither can be 0", v.token, v.version)
	}
	return v, nil
}

func (v standing) encode() []byte {
	w := newWriter()
	w.stamp(v.stamp)
	w.uint64(uint64(v.epoch))
	w.byte(byte(v.status))
	w.string(v.info.Address)
	if !v.info.Instance.IsZero() {
		w.bytes(v.info.Instance[:])
		w.buf[0] = standingFormat
	}
	return w.buf
}

func decodeStanding(b []byte) (v standing, err error) {
	r := newReader(b, standingFormat)
	v.stamp = r.stamp()
	v.epoch = registry.Epoch(r.uint64())
	v.status = registry.NodeStatus(r.byte())
	v.info.Address = r.string()
	if r.format == standingFormat {
		r.bytes(v.info.Instance[:])
	}
	if err := r.end(); err != nil {
		return standing{}, err
	}
	switch {
	case r.format == standingFormat && v.info.Instance.IsZero():
		return standing{}, errors.New("instance is zero, which has another format")
	case v.epoch == 0 || v.rev == 0:
		return standing{}, fmt.Errorf("epoch %d, revision %d: neither can be 0", v.epoch, v.rev)
	case v.status == registry.AnyStatus || v.status.Validate() != nil:
		return standing{}, fmt.Errorf("status %d is none", v.status)
	}
	if err := v.info.Validate(); err != nil {
		return standing{}, err
	}
	return v, nil
}

func (v seen) encode() []byte {
	w := newWriter()
	w.stamp(v.stamp)
	w.uint64(uint64(v.at))
	return w.buf
}

func decodeSeen(b []byte) (v seen, err error) {
	r := newReader(b)
	v.stamp = r.stamp()
	v.at = registry.Instant(r.uint64())
	if err := r.end(); err != nil {
		return seen{}, err
	}
	if v.rev == 0 {
		return seen{}, errors.New("revision is 0")
	}
	return v, nil
}

// encodeCluster and decodeCluster handle the record that [Open] checks. The schema
// version comes first, in every schema.
func encodeCluster(cfg registry.Config) []byte {
	w := newWriter()
	w.uint64(schemaVersion)
	for _, d := range []time.Duration{cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout} {
		w.uint64(uint64(d))
	}
	return w.buf
}

// withFloors returns the cluster's record for a store that forgets, and whether that
// is another.
func withFloors(b []byte) (with []byte, other bool) {
	with = slices.Clone(b)
	binary.BigEndian.PutUint64(with[1:], schemaFloors)
	return with, !bytes.Equal(b, with)
}

func decodeCluster(b []byte) (cfg registry.Config, err error) {
	r := newReader(b)
	if v := r.uint64(); r.err == nil && (v < schemaVersion || v > schemaFloors) {
		return cfg, fmt.Errorf("schema version is %d, this program knows %d to %d", v, schemaVersion, schemaFloors)
	}
	for _, d := range []*time.Duration{&cfg.TTL, &cfg.Grace, &cfg.MaxClockSkew, &cfg.FailureTimeout} {
		*d = time.Duration(r.uint64())
	}
	if err := r.end(); err != nil {
		return registry.Config{}, err
	}
	valid := cfg
	valid.AllowShortTTL = true // the caller's permission, not the cluster's
	if err := valid.Validate(); err != nil {
		return registry.Config{}, err
	}
	return cfg, nil
}

// The stamps of stored values, for evidence. A missing value has the zero stamp.

func stampOfTerm(b []byte) (stamp, error) {
	return stampOf(b, func(b []byte) (stamp, error) { v, err := decodeTerm(b); return v.stamp(), err })
}

func stampOfStanding(b []byte) (stamp, error) {
	return stampOf(b, func(b []byte) (stamp, error) { v, err := decodeStanding(b); return v.stamp, err })
}

func stampOfSeen(b []byte) (stamp, error) {
	return stampOf(b, func(b []byte) (stamp, error) { v, err := decodeSeen(b); return v.stamp, err })
}

func stampOfFloor(b []byte) (stamp, error) {
	return stampOf(b, func(b []byte) (stamp, error) { v, err := decodeFloor(b); return v.stamp, err })
}

// stampOfCluster gives the cluster record, which is written once, revision 1 and no mark.
func stampOfCluster(b []byte) (stamp, error) {
	return stampOf(b, func([]byte) (stamp, error) { return stamp{rev: 1}, nil })
}

func stampOf(b []byte, decode func([]byte) (stamp, error)) (stamp, error) {
	if b == nil {
		return stamp{}, nil
	}
	return decode(b)
}

// writer appends fields to a value.
type writer struct{ buf []byte }

func newWriter() *writer { return &writer{buf: append(make([]byte, 0, 64), valueFormat)} }

func (w *writer) byte(b byte)     { w.buf = append(w.buf, b) }
func (w *writer) bytes(b []byte)  { w.buf = append(w.buf, b...) }
func (w *writer) uint64(n uint64) { w.buf = binary.BigEndian.AppendUint64(w.buf, n) }
func (w *writer) stamp(s stamp)   { w.uint64(s.rev); w.bytes(s.mark[:]) }

// string writes at most 65535 bytes; the contract's limits are far below.
func (w *writer) string(s string) {
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(s)))
	w.buf = append(w.buf, s...)
}

// reader takes fields off a value. After the first failure it returns zero values;
// end reports the failure.
type reader struct {
	format byte
	buf    []byte
	err    error
}

// newReader reads a value of valueFormat, or of one of the other formats given.
func newReader(b []byte, others ...byte) reader {
	r := reader{buf: b}
	r.format = r.byte()
	if r.err == nil && r.format != valueFormat && !slices.Contains(others, r.format) {
		r.err = fmt.Errorf("format is %d, want %d", r.format, valueFormat)
	}
	return r
}

// take returns the next n bytes, nil after a failure.
func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.buf) < n {
		r.err = fmt.Errorf("ends %d bytes early", n-len(r.buf))
	}
	if r.err != nil {
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) bytes(into []byte) { copy(into, r.take(len(into))) }

func (r *reader) stamp() (s stamp) {
	s.rev = r.uint64()
	r.bytes(s.mark[:])
	return s
}

func (r *reader) string() string {
	n := r.take(2)
	if n == nil {
		return ""
	}
	s := string(r.take(int(binary.BigEndian.Uint16(n))))
	if r.err == nil && !utf8.ValidString(s) {
		r.err = errors.New("text is not UTF-8")
	}
	return s
}

// end returns the first failure, or an error when something is left over.
func (r *reader) end() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = fmt.Errorf("goes on for %d bytes after its end", len(r.buf))
	}
	return r.err
}

// A cursor is the names after which the next page begins, in the encoding of a
// value, in base64.

func encodeCursor(names ...string) registry.Cursor {
	w := newWriter()
	for _, n := range names {
		w.string(n)
	}
	return registry.Cursor(base64.RawURLEncoding.EncodeToString(w.buf))
}

// decodeCursor reads a cursor of len(into) names; none of them for "".
func decodeCursor(c registry.Cursor, into ...*string) error {
	if c == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err == nil && base64.RawURLEncoding.EncodeToString(b) != string(c) {
		err = errors.New("has line breaks") // which the decoder skips, strict or not
	}
	if err == nil {
		r := newReader(b)
		for _, n := range into {
			*n = r.string()
		}
		err = r.end()
	}
	if err == nil && slices.ContainsFunc(into, func(n *string) bool { return *n == "" }) {
		err = errors.New("has an empty name")
	}
	if err != nil {
		return &registry.InvalidError{Field: "page cursor", Problem: "was not returned by this listing: " + err.Error()}
	}
	return nil
}
