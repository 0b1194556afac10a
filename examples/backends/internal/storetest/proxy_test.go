package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// recorder is a server that notes what it was sent and answers "ok".
type recorder struct {
	net.Listener
	mu  sync.Mutex
	got bytes.Buffer
}

func newRecorder(t *testing.T) *recorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := &recorder{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *recorder) serve(c net.Conn) {
	defer c.Close()
	for piece := make([]byte, 100); ; {
		n, err := c.Read(piece)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.got.Write(piece[:n])
		s.mu.Unlock()
		_, _ = io.WriteString(c, "ok")
	}
}

func (s *recorder) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// ask sends a request and returns the answer, "" if the connection broke.
func ask(t *testing.T, c net.Conn, request string) string {
	require.NoError(t, c.SetDeadline(testDeadline(t)))
	_, err := io.WriteString(c, request)
	require.NoError(t, err)
	piece := make([]byte, 100)
	n, _ := c.Read(piece)
	return string(piece[:n])
}

func testDeadline(t *testing.T) time.Time {
	d, _ := t.Deadline()
	return d
}

// TestProxy: of a request that commits, each trouble leaves what it is named after:
// at the server, and at the client. A request that does not commit has none.
func TestProxy(t *testing.T) {
	for _, x := range []struct {
		trouble trouble
		faults  conformance.Faults
		answer  string // to the client
		arrives bool   // at the server
	}{
		{none, conformance.Faults{}, "ok", true},
		{unavailable, conformance.Faults{Unavailable: 1}, "no", false},
		{lostRequest, conformance.Faults{LostRequest: 1}, "", false},
		{lostAnswer, conformance.Faults{LostAnswer: 1}, "", true},
		{late, conformance.Faults{Late: 1}, "", true},
	} {
		t.Run(fmt.Sprintf("%q", x.trouble), func(t *testing.T) {
			s := newRecorder(t)
			p, err := NewProxy(s.Addr().String(), Wire{
				Commits: func(b []byte) bool { return bytes.Contains(b, []byte("commit")) },
				Refusal: []byte("no"),
			})
			require.NoError(t, err)
			p.SetFaults(x.faults)
			c, err := net.Dial("tcp", p.Addr())
			require.NoError(t, err)
			defer c.Close()
			require.Equal(t, "ok", ask(t, c, "read;"))
			require.Equal(t, x.answer, ask(t, c, "commit;"))
			require.NoError(t, p.Close()) // what is late has arrived
			want := "read;"
			if x.arrives {
				want += "commit;"
			}
			require.Equal(t, want, s.text())
			befell := map[trouble]int{}
			if x.trouble != none {
				befell[x.trouble] = 1
			}
			require.Equal(t, befell, p.befallen())
		})
	}
}

// TestProxyShares: the probabilities are of one draw, so that their sum is that of
// any trouble; the same seed draws the same.
func TestProxyShares(t *testing.T) {
	share := func() map[trouble]int {
		p, err := NewProxy("127.0.0.1:1", Wire{Commits: func([]byte) bool { return true }})
		require.NoError(t, err)
		defer p.Close()
		p.SetFaults(conformance.Faults{Seed: 7, Unavailable: 0.1, LostRequest: 0.2, LostAnswer: 0.3, Late: 0.4})
		for range 10_000 {
			p.draw(nil)
		}
		return p.befallen()
	}
	first := share()
	for kind, want := range map[trouble]int{unavailable: 1000, lostRequest: 2000, lostAnswer: 3000, late: 4000} {
		require.InDelta(t, want, first[kind], 200, kind)
	}
	require.Equal(t, first, share())
}
