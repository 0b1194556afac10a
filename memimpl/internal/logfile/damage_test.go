package logfile_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// states are the contents of one log's file at several moments, older first, and
// what each shows. Between the third and the fourth it was compacted.
type states struct {
	files [][]byte
	shows [][]string
}

func newStates(t testing.TB, closed bool) (s states) {
	d, k := faultfs.New(), &known{}
	take := func() {
		s.files = append(s.files, d.Read(path))
		s.shows = append(s.shows, slices.Clone(k.must))
	}
	for range 2 {
		u := &user{known: k}
		var err error
		u.log, err = u.state.open(d.Mount())
		require.NoError(t, err)
		for range 4 {
			u.append()
			u.append()
			if !closed {
				take()
			}
		}
		require.NoError(t, u.log.Close())
		if closed {
			take()
		}
	}
	return s
}

// tryOpen returns what a file of that content shows.
func tryOpen(content []byte) ([]string, error) {
	d, u := faultfs.New(), &user{}
	d.Write(path, content, false)
	_, err := u.state.open(d.Mount())
	return u.state.list, err
}

func diagnosed(err error) bool {
	return errors.Is(err, logfile.ErrDamaged) || errors.Is(err, logfile.ErrForeign) || errors.Is(err, logfile.ErrFormat)
}

// TestEveryBit flips every bit of a file that was closed: the file is refused or
// shows what it showed. In one that was not closed, the newest commit can be lost.
func TestEveryBit(t *testing.T) {
	for _, closed := range []bool{true, false} {
		s := newStates(t, closed)
		content, shows := s.files[len(s.files)-1], s.shows[len(s.files)-1]
		flips, detected, lost := 0, 0, 0
		for at := range content {
			bits := []int{at % 8} // of what is zero
			if content[at] != 0 {
				bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
			}
			for _, bit := range bits {
				content[at] ^= 1 << bit
				now, err := tryOpen(content)
				content[at] ^= 1 << bit
				flips++
				switch {
				case err != nil:
					require.True(t, diagnosed(err), "bit %d of byte %d: %v", bit, at, err)
					detected++
				case !slices.Equal(now, shows):
					require.False(t, closed, "bit %d of byte %d", bit, at)
					require.Equal(t, shows[:len(shows)-1], now, "bit %d of byte %d", bit, at)
					lost++
				}
			}
		}
		t.Logf("closed: %v. %d flips, %d refused, %d lost the newest commit", closed, flips, detected, lost)
		require.Greater(t, detected, flips/2)
	}
}

// TestEveryCut cuts a file at every byte, and puts zeros there.
func TestEveryCut(t *testing.T) {
	s := newStates(t, false)
	content, shows := s.files[len(s.files)-1], s.shows[len(s.files)-1]
	for at := range content {
		zeroed := bytes.Clone(content)
		clear(zeroed[at:])
		for _, file := range [][]byte{content[:at], zeroed} {
			now, err := tryOpen(file)
			if err != nil {
				require.True(t, diagnosed(err), "byte %d: %v", at, err)
				continue
			}
			require.GreaterOrEqual(t, len(now), len(shows)-1, "byte %d", at)
			require.Equal(t, shows[:len(now)], now, "byte %d", at)
		}
	}
}

// TestMixtures mixes the blocks of two states of one log, as a disk or a tool that
// copies blocks may: what is shown is one of the two, whole, or the file is refused.
// A file that was not closed may lack its newest commit.
func TestMixtures(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, closed := range []bool{true, false} {
		s := newStates(t, closed)
		mixed, refused := 0, 0
		for a := range s.files {
			for b := range a {
				for _, block := range []int{4096, 512, 64} {
					for range 150 {
						file := mix(rnd, s.files[a], s.files[b], block)
						now, err := tryOpen(file)
						mixed++
						if err != nil {
							require.True(t, diagnosed(err), "%v", err)
							refused++
							continue
						}
						allowed := [][]string{s.shows[a], s.shows[b]}
						if !closed {
							allowed = append(allowed, s.shows[a][:len(s.shows[a])-1], s.shows[b][:len(s.shows[b])-1])
						}
						require.Contains(t, allowed, now, "states %d and %d, blocks of %d", a, b, block)
					}
				}
			}
		}
		t.Logf("closed: %v. %d mixtures, %d refused", closed, mixed, refused)
		require.Less(t, refused, mixed)
	}
}

// TestBatchOfAnotherLog: a batch that is whole by itself, in the place of one of the
// same length, contradicts every batch after it.
func TestBatchOfAnotherLog(t *testing.T) {
	file := func(words ...string) []byte {
		d := faultfs.New()
		u := newUser(t, d)
		for _, word := range words {
			require.NoError(t, u.log.Append([]byte(word)))
		}
		require.NoError(t, u.log.Close())
		return d.Read(path)
	}
	ours, theirs := file("aaaa", "bbbb", "cccc"), file("AAAA", "bbbb", "cccc")
	_, err := tryOpen(ours)
	require.NoError(t, err)
	const batch = 8 + 4 + 32
	copy(ours[12288:12288+batch], theirs[12288:])
	_, err = tryOpen(ours)
	require.ErrorIs(t, err, logfile.ErrDamaged)
}

// mix takes each block from a or b, mostly from one of them, and the length of either.
func mix(rnd *rand.Rand, a, b []byte, block int) []byte {
	if rnd.IntN(2) == 0 {
		a, b = b, a
	}
	file, rare := bytes.Clone(a), 1+rnd.IntN(8)
	if rnd.IntN(2) == 0 {
		file = append(file, make([]byte, max(0, len(b)-len(a)))...)[:len(b)]
	}
	for at := 0; at < len(file); at += block {
		if rnd.IntN(rare) == 0 && at < len(b) {
			copy(file[at:min(at+block, len(file))], b[at:])
		}
	}
	return file
}

// FuzzOpen: no bytes make the opening panic, run long or use much memory, and what
// is accepted is accepted again, with the same contents.
func FuzzOpen(f *testing.F) {
	s := newStates(f, false)
	content := s.files[len(s.files)-1]
	f.Add([]byte{}, uint16(0), byte(1))
	f.Add(s.files[0][12288:], uint16(12288), byte(0))
	f.Add(s.files[2][4096:8192], uint16(4096), byte(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint16(12288), byte(0))
	f.Fuzz(func(t *testing.T, patch []byte, at uint16, flip byte) {
		b := bytes.Clone(content)
		i := int(at) % len(b)
		copy(b[i:], patch)
		b[i] ^= flip
		shows, err := tryOpen(b)
		if err != nil {
			require.True(t, diagnosed(err), err)
			return
		}
		again, err := tryOpen(b)
		require.NoError(t, err)
		require.Equal(t, shows, again)
	})
}
