package serverctl

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a server that answers with what it is sent.
func echo(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func lineTo(t *testing.T, to string) *Line {
	l, err := NewLine("127.0.0.1:0", to)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *Line) net.Conn {
	c, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, what string) {
	_, err := io.WriteString(c, what)
	require.NoError(t, err)
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

// silent checks that nothing comes: it can miss what comes late, and is never wrong
// about a line that is cut.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// While a line is cut, what is sent gets nowhere, on old connections and on new ones, and
// none of them ends; when it is mended, all of it arrives, in order.
func TestLineCutAndMended(t *testing.T) {
	l := lineTo(t, echo(t))
	old := dial(t, l)
	say(t, old, "one")
	hear(t, old, "one")

	l.Cut()
	l.Cut()
	say(t, old, "two")
	fresh := dial(t, l)
	say(t, fresh, "three")
	silent(t, old)
	silent(t, fresh)

	l.Mend()
	l.Mend()
	hear(t, old, "two")
	hear(t, fresh, "three")
	say(t, old, "four")
	hear(t, old, "four")
}

// Close ends everything, a cut line too.
func TestLineClosed(t *testing.T) {
	l := lineTo(t, echo(t))
	old := dial(t, l)
	say(t, old, "one")
	hear(t, old, "one")
	l.Cut()
	held := dial(t, l)
	say(t, held, "two")
	require.NoError(t, l.Close())
	l.Cut()
	for _, c := range []net.Conn{old, held} {
		n, err := c.Read(make([]byte, 8))
		require.Error(t, err)
		require.Zero(t, n)
	}
	_, err := net.Dial("tcp", l.Addr())
	require.Error(t, err)
}

// Without a server behind it a connection ends.
func TestLineToNowhere(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	c := dial(t, lineTo(t, gone.Addr().String()))
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestLineFromEnv(t *testing.T) {
	t.Setenv(LineVariable, "")
	l, named, err := LineFromEnv()
	require.NoError(t, err)
	require.False(t, named)
	require.Nil(t, l)

	t.Setenv(LineVariable, "127.0.0.1:4500")
	_, named, err = LineFromEnv()
	require.True(t, named)
	require.ErrorContains(t, err, "want LISTEN=TO")

	t.Setenv(LineVariable, "127.0.0.1:0="+echo(t))
	l, named, err = LineFromEnv()
	require.NoError(t, err)
	require.True(t, named)
	t.Cleanup(func() { l.Close() })
	c := dial(t, l)
	say(t, c, "hello")
	hear(t, c, "hello")
}
