package logfile

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecodeMark(f *testing.F) {
	mark, _ := encodeMark(position{number: 3, offset: 1 << 40, digest: digest{1}})
	f.Add(mark)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := decodeMark(b)
		if ok {
			again, _ := encodeMark(p)
			require.Equal(t, b, again)
		}
	})
}

// The blocks are made of what they begin with: the fuzzer spends its time on small
// inputs. With a checksum of its own a block gets past the check of that.
func FuzzDecodeHeader(f *testing.F) {
	head, _ := encodeHeader([]byte("header"))
	f.Add(head[:len(magic)+8+6], true)
	f.Add(head[:20], false)
	f.Fuzz(func(t *testing.T, begin []byte, sealed bool) {
		b := make([]byte, blockSize)
		copy(b, begin)
		if sealed {
			sum := sha256.Sum256(b[:blockSize-sha256.Size])
			copy(b[blockSize-sha256.Size:], sum[:])
		}
		body, _, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, _ := encodeHeader(body)
		require.Equal(t, again[:len(magic)+8+len(body)], b[:len(magic)+8+len(body)])
	})
}

// TestMarks: which marks a crash can leave beside which batches. s is the newest
// batch that was synced.
func TestMarks(t *testing.T) {
	at := func(n uint64) position { return position{number: n, offset: int64(1000 * n), digest: digest{byte(n)}} }
	other := func(n uint64) position { return position{number: n, offset: int64(1000*n) + 7} }
	none := position{}
	const s = 10
	for name, c := range map[string]struct {
		marks [2]position
		end   uint64
		more  bool // something follows the batches
		ok    bool
	}{
		"after a commit":                          {[2]position{at(s), at(s - 1)}, s, false, true},
		"closed, or just rewritten":               {[2]position{at(s), at(s)}, s, false, true},
		"the next batch is torn":                  {[2]position{at(s), at(s - 1)}, s, true, true},
		"the next mark is torn":                   {[2]position{at(s), none}, s, true, true},
		"the next mark alone is written":          {[2]position{at(s), at(s + 1)}, s, false, true},
		"the next batch alone is written":         {[2]position{at(s), at(s - 1)}, s + 1, false, true},
		"and its mark is torn":                    {[2]position{at(s), none}, s + 1, false, true},
		"both are written":                        {[2]position{at(s), at(s + 1)}, s + 1, false, true},
		"the mark is of a batch that was refused": {[2]position{at(s), other(s + 1)}, s + 1, false, true},
		"no marks":                                     {[2]position{none, none}, s, false, false},
		"marks of later batches":                       {[2]position{at(s + 2), at(s + 1)}, s, false, false},
		"marks of earlier batches":                     {[2]position{at(s - 2), at(s - 3)}, s, false, false},
		"the newest mark and one of long ago":          {[2]position{at(s), at(s - 3)}, s, false, false},
		"one before, of another log":                   {[2]position{at(s), other(s - 1)}, s, false, false},
		"the same, of another log":                     {[2]position{at(s), other(s)}, s, false, false},
		"something after a batch whose mark is absent": {[2]position{at(s), at(s - 1)}, s + 1, true, false},
		"a mark that is two ahead":                     {[2]position{at(s), at(s + 2)}, s, false, false},
		"the newest batch is missing though closed":    {[2]position{at(s), at(s)}, s - 1, false, false},
	} {
		var m marks
		for i, p := range c.marks {
			m[i].position, m[i].whole = p, p != none
		}
		for n := uint64(1); n <= c.end; n++ {
			m.meet(at(n))
		}
		size := at(c.end).offset
		if c.more {
			size++
		}
		if err := m.check(at(c.end), size); c.ok {
			require.NoError(t, err, name)
		} else {
			require.Error(t, err, name)
		}
	}
}
