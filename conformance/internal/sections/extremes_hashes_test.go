package sections

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"hash/fnv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hashes are the functions whose collisions are listed. Those of a number are
// polynomials in it, as many languages hash their strings.
var hashes = map[string]func([]byte) uint32{
	"fnv1":    func(b []byte) uint32 { h := fnv.New32(); _, _ = h.Write(b); return h.Sum32() },
	"fnv1a":   func(b []byte) uint32 { h := fnv.New32a(); _, _ = h.Write(b); return h.Sum32() },
	"md5":     func(b []byte) uint32 { sum := md5.Sum(b); return binary.BigEndian.Uint32(sum[:]) },
	"sha1":    func(b []byte) uint32 { sum := sha1.Sum(b); return binary.BigEndian.Uint32(sum[:]) },
	"sha256":  func(b []byte) uint32 { sum := sha256.Sum256(b); return binary.BigEndian.Uint32(sum[:]) },
	"crc32":   crc32.ChecksumIEEE,
	"crc32c":  func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) },
	"adler32": adler32.Checksum,
	"31":      polynomial(31),
	"33":      polynomial(33),
}

func polynomial(in uint32) func([]byte) uint32 {
	return func(b []byte) (h uint32) {
		for _, c := range b {
			h = h*in + uint32(c)
		}
		return h
	}
}

func TestCollisionsAreSome(t *testing.T) {
	for _, c := range collisions {
		hash, prefixes := hashes[c.hash], []string{c.prefix}
		require.NotNil(t, hash, c.hash)
		if c.prefix == anyPrefix {
			prefixes = []string{"", "conform", "conform/", "conform\x00", "x"}
		}
		assert.NotEqual(t, c.one, c.other)
		for _, p := range prefixes {
			assert.Equal(t, hash([]byte(p+c.one)), hash([]byte(p+c.other)), "%s of %q and %q behind %q", c.hash, c.one, c.other, p)
		}
	}
}
