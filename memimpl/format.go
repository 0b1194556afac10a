package memimpl

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
)

// formatVersion is the version of what this file writes. Integers are
// little-endian; every value begins with its checksum.
//
//	bucket "registry"  key "manifest": checksum, version uint32, TTL, Grace, MaxClockSkew, FailureTimeout int64,
//	                   number and sum of the checksums of all values below, uint64 each
//	bucket "actors"    key namespace NUL name: checksum, token, version uint64, expiry int64, claim id [16]byte,
//	                   holder's epoch uint64 (0: nobody), holder's name
//	bucket "nodes"     key name: checksum, epoch uint64, last-seen int64, status byte, address
//
// A checksum is the first 8 bytes of SHA-256 over the bucket's letter, the key's
// length, the key and the value's rest: a flipped bit in a key or value is found,
// and so is a value under another key. The manifest's number and sum change in the
// transaction that changes the values, so a value that is missing, doubled or of
// an older transaction is found too, though each is whole by itself.
const formatVersion = 1

const sumSize = 8

// The kinds of values: the first letters of their buckets.
const (
	kindManifest = 'r'
	kindActor    = 'a'
	kindNode     = 'n'
)

var (
	errShort    = errors.New("value is too short")
	errChecksum = errors.New("checksum does not match")
)

// checksum is what a sealed value begins with; the manifest adds them up.
func checksum(value []byte) uint64 { return binary.LittleEndian.Uint64(value) }

func sum(kind byte, key, body []byte) uint64 {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint32([]byte{kind}, uint32(len(key))))
	h.Write(key)
	h.Write(body)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// seal fills in the checksum of a value whose first bytes were left for it.
func seal(kind byte, key, value []byte) []byte {
	binary.LittleEndian.PutUint64(value, sum(kind, key, value[sumSize:]))
	return value
}

// unseal returns the body of a value of at least size bytes.
func unseal(kind byte, key, value []byte, size int) ([]byte, error) {
	if len(value) < sumSize+size {
		return nil, errShort
	}
	body := value[sumSize:]
	if checksum(value) != sum(kind, key, body) {
		return nil, errChecksum
	}
	return body, nil
}

// actorKey is unambiguous because no name has a NUL; it sorts as ListActors does.
func actorKey(a registry.ActorID) []byte { return []byte(a.Namespace + "\x00" + a.Name) }

const recordSize = 8 + 8 + 8 + 16 + 8

func encodeRecord(p registry.Placement) (key, value []byte) {
	key = actorKey(p.Actor)
	value = make([]byte, sumSize, sumSize+recordSize+len(p.Holder.ID))
	value = binary.LittleEndian.AppendUint64(value, uint64(p.Token))
	value = binary.LittleEndian.AppendUint64(value, uint64(p.Version))
	value = binary.LittleEndian.AppendUint64(value, uint64(p.Expiry))
	value = append(value, p.ClaimID[:]...)
	value = binary.LittleEndian.AppendUint64(value, uint64(p.Holder.Epoch))
	value = append(value, p.Holder.ID...)
	return key, seal(kindActor, key, value)
}

// decodeRecord returns what encodeRecord was given, or an error for anything that
// it does not write.
func decodeRecord(key, value []byte) (registry.Placement, error) {
	b, err := unseal(kindActor, key, value, recordSize)
	if err != nil {
		return registry.Placement{}, err
	}
	namespace, name, _ := strings.Cut(string(key), "\x00")
	p := registry.Placement{
		Actor:   registry.ActorID{Namespace: namespace, Name: name},
		Token:   registry.Token(binary.LittleEndian.Uint64(b)),
		Version: registry.Version(binary.LittleEndian.Uint64(b[8:])),
		Expiry:  registry.Instant(binary.LittleEndian.Uint64(b[16:])),
		ClaimID: registry.ClaimID(b[24:40]),
		Holder:  registry.NodeRef{ID: registry.NodeID(b[48:]), Epoch: registry.Epoch(binary.LittleEndian.Uint64(b[40:]))},
	}
	if err := p.Actor.Validate(); err != nil {
		return registry.Placement{}, err
	}
	if p.Token == 0 || uint64(p.Version) < uint64(p.Token) {
		return registry.Placement{}, fmt.Errorf("token %d and version %d do not go together", p.Token, p.Version)
	}
	if p.Held() {
		err = p.Holder.Validate()
	}
	return p, err
}

const nodeSize = 8 + 8 + 1

func encodeNode(n registry.Node) (key, value []byte) {
	key = []byte(n.Ref.ID)
	value = make([]byte, sumSize, sumSize+nodeSize+len(n.Info.Address))
	value = binary.LittleEndian.AppendUint64(value, uint64(n.Ref.Epoch))
	value = binary.LittleEndian.AppendUint64(value, uint64(n.LastSeen))
	value = append(value, byte(n.Status))
	value = append(value, n.Info.Address...)
	return key, seal(kindNode, key, value)
}

// decodeNode returns what encodeNode was given, or an error for anything that it
// does not write.
func decodeNode(key, value []byte) (registry.Node, error) {
	b, err := unseal(kindNode, key, value, nodeSize)
	if err != nil {
		return registry.Node{}, err
	}
	n := registry.Node{
		Ref:      registry.NodeRef{ID: registry.NodeID(key), Epoch: registry.Epoch(binary.LittleEndian.Uint64(b))},
		LastSeen: registry.Instant(binary.LittleEndian.Uint64(b[8:])),
		Status:   registry.NodeStatus(b[16]),
		Info:     registry.NodeInfo{Address: string(b[17:])},
	}
	if n.Status == registry.AnyStatus {
		return registry.Node{}, errors.New("registration has no status")
	}
	for _, check := range []interface{ Validate() error }{n.Ref, n.Status, n.Info} {
		if err := check.Validate(); err != nil {
			return registry.Node{}, err
		}
	}
	return n, nil
}

// manifest is the file's description of itself.
type manifest struct {
	cfg    registry.Config
	values uint64 // number of records and registrations
	sum    uint64 // of their checksums, modulo 2^64
}

// replace accounts for a value that takes the place of before (nil: none).
func (m *manifest) replace(before, value []byte) {
	if before == nil {
		m.values++
	} else {
		m.sum -= checksum(before)
	}
	m.sum += checksum(value)
}

const manifestSize = 4 + 4*8 + 2*8

var manifestKey = []byte("manifest")

func encodeManifest(m manifest) []byte {
	value := make([]byte, sumSize, sumSize+manifestSize)
	value = binary.LittleEndian.AppendUint32(value, formatVersion)
	for _, d := range []time.Duration{m.cfg.TTL, m.cfg.Grace, m.cfg.MaxClockSkew, m.cfg.FailureTimeout} {
		value = binary.LittleEndian.AppendUint64(value, uint64(d))
	}
	value = binary.LittleEndian.AppendUint64(value, m.values)
	value = binary.LittleEndian.AppendUint64(value, m.sum)
	return seal(kindManifest, manifestKey, value)
}

// decodeManifest returns what encodeManifest was given. The version comes first:
// what follows it, in a version that is not known, is not looked at.
func decodeManifest(value []byte) (manifest, error) {
	b, err := unseal(kindManifest, manifestKey, value, 4)
	if err != nil {
		return manifest{}, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	if v := binary.LittleEndian.Uint32(b); v != formatVersion {
		return manifest{}, fmt.Errorf("%w: version %d, this program knows version %d", ErrFormat, v, formatVersion)
	}
	if len(b) != manifestSize {
		return manifest{}, fmt.Errorf("%w: manifest has %d bytes, want %d", ErrDamaged, len(b), manifestSize)
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[4+8*i:]) }
	m := manifest{
		cfg: registry.Config{
			TTL: time.Duration(at(0)), Grace: time.Duration(at(1)), MaxClockSkew: time.Duration(at(2)), FailureTimeout: time.Duration(at(3)),
			AllowShortTTL: true, // was the creator's to ask for
		},
		values: at(4), sum: at(5),
	}
	if err := m.cfg.Validate(); err != nil {
		return manifest{}, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	return m, nil
}
