package ci

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// written waits until every server that was started has written down how: on a busy
// machine one is killed before it has, and would be missed.
const written = `for p in "$FDB_CTL_DIR"/process-*/pid; do for i in $(seq 600); do grep -q "^$(cut -d" " -f1 "$p") fdbserver" "$STUB_LOG" && break; sleep 0.05; done; done
`

// The programs that ci/fdb.sh calls, made by hand: a server that only lives, and
// others that write down how they were called and what the control does then.
var stubs = map[string]string{
	"fdbserver": `case $1 in --version) echo "FoundationDB 7.3 (v7.3.79)"; exit;; esac
echo "$$ fdbserver $*" >>"$STUB_LOG"; [ ! -e /proc/$$/fd/9 ] || echo "inherited a file" >>"$STUB_LOG"
while [ -e "$STUB_LOG" ]; do sleep 0.05; done`, // no longer than the test,
	"fdbcli": `echo "fdbcli $*" >>"$STUB_LOG"
case $* in *status*) echo "The database is ${STUB_STATE:-available}.";; esac`,
	"make": written + `echo "make $* control=${FDB_SERVER_CTL##*/}" >>"$STUB_LOG"
now() { cut -d" " -f1 "$FDB_CTL_DIR/process-1/pid"; }
pid=$(now)
state() { sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat"; }
"$FDB_SERVER_CTL" pause 1; for i in 1 2 3 4 5 6 7 8 9; do [ "$(state)" = T ] || sleep 0.1; done
echo "paused $(state)" >>"$STUB_LOG"
"$FDB_SERVER_CTL" resume; "$FDB_SERVER_CTL" kill
case "$(state 2>/dev/null)" in ""|Z) echo "killed" >>"$STUB_LOG";; esac
for what in kill pause resume; do "$FDB_SERVER_CTL" $what 1 || echo "$what of a dead process fails" >>"$STUB_LOG"; done
"$FDB_SERVER_CTL" start; pid=$(now); "$FDB_SERVER_CTL" start
[ "$pid" = "$(now)" ] && echo "started once" >>"$STUB_LOG"
"$FDB_SERVER_CTL" pause 7 2>/dev/null || echo "no process 7" >>"$STUB_LOG"
` + written + `exit ${STUB_MAKE:-0}
`,
	"go": `if [ "$1" = build ]; then
	while [ "$1" != -o ]; do shift; done
	printf '#!/bin/bash\necho "${0##*/} $*" >>"$STUB_LOG"; [ $1 = load ] || exec sleep 30\n' >"$2"; chmod +x "$2"; exit
fi
` + written + `echo "go $* control=${FDB_SERVER_CTL##*/} line=$FDB_SERVER_LINE" >>"$STUB_LOG"
case $* in *report/fdb-three*|*report/fdb-restarts*) for i in $(seq 300); do [ -s "$FDB_CTL_DIR/disturbances" ] && break; sleep 0.1; done; sleep 0.3;; esac
` + written,
}

// ways is ci/fdb.sh on stubs.
type ways struct {
	*exec.Cmd
	bin, log, dir string // the stubs, what they write down, and where the processes' directories are
}

func newWays(t *testing.T, env []string, names ...string) ways {
	bin, log, dir := t.TempDir(), filepath.Join(t.TempDir(), "log"), t.TempDir()
	for name, body := range stubs {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+body+"\n"), 0o700))
	}
	cmd := exec.Command("./fdb.sh", names...)
	held, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { held.Close() })
	cmd.ExtraFiles = []*os.File{6: held} // descriptor 9, as of a caller's lock
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "STUB_LOG="+log, "FDB_DIR="+dir, "FDB_CALM=0", "FDB_PATIENCE=1", "FDB_HOSTS=0")
	cmd.Env = append(cmd.Env, env...)
	return ways{cmd, bin, log, dir}
}

// logged is what the stubs have written down.
func (w ways) logged(t *testing.T) string {
	text, err := os.ReadFile(w.log)
	require.NoError(t, err)
	return string(text)
}

// leavesNothing checks that no server runs and no directory is left.
func (w ways) leavesNothing(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(w.logged(t)) {
		if pid, server, ok := strings.Cut(line, " fdbserver"); ok {
			status, err := os.ReadFile("/proc/" + pid + "/status")
			assert.True(t, err != nil || strings.Contains(string(status), "zombie"), "left running:%s", server)
		}
	}
	left, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// All ways run as they would on real servers, as far as stubs go: which processes are
// started, how the cluster is configured, what is run with which control, and that
// nothing is left behind.
func TestFoundationDBWays(t *testing.T) {
	w := newWays(t, []string{"FDB_PORT=47110"})
	out, err := w.CombinedOutput()
	require.NoError(t, err, "%s", out)
	calls := strings.ReplaceAll(w.logged(t), w.dir, "DIR")
	calls = regexp.MustCompile(`DIR/fdb\.\w+`).ReplaceAllString(calls, "HERE")

	for _, want := range []string{
		"fdbcli -C HERE/fdb.cluster --timeout 1 --exec configure new single ssd",
		"fdbcli -C HERE/fdb.cluster --timeout 1 --exec configure new double ssd",
		"fdbcli -C HERE/fdb.cluster --timeout 1 --exec status minimal",
		"make test-fdb FDB_PKGS= control=fdbctl.sh",
		"paused T", "killed", "started once", "no process 7",
		" --report report/fdb-one control= line=\n",
		"go test -p 1 -race -timeout 30m -tags fdb -count 1 ./fdbimpl/fdbtest control=fdbctl.sh",
		"go test -p 1 -race -timeout 30m -tags fdb -count 1 ./fdbsim/fidelity control=fdbctl.sh",
		"--section handles,faults,purge --histories 3 --parallel 1 --report report/fdb-one-stopped control=fdbctl.sh",
		"--section durable --histories 3 --parallel 1 --report report/fdb-one-crashed control=fdbctl.sh",
		"run fdbimpl-forgets --cluster-file HERE/fdb.cluster --parallel 8 --section purge --histories 3 --parallel 1 --report report/fdb-one-forgets control=fdbctl.sh",
		"-run TestWeather/a_partition ./fdbimpl control= line=127.0.0.1:47110=127.0.0.1:47160\n",
		"--section contract,membership,random,concurrent,fencing --report report/fdb-three control= line=\n",
		"-run TestRealTimeOnFoundationDB ./keeper control= line=\n",
		"actorhost store --listen 127.0.0.1:7700 --cluster-file HERE/fdb.cluster --prefix actorhost-", "actorhost load --nodes ",
		"protoactor store --listen 127.0.0.1:7800 --cluster-file HERE/fdb.cluster --prefix protoactor-", "protoactor load --nodes ",
		"--report report/fdb-restarts control= line=\n",
		"fdbserver -p 127.0.0.1:47110 -l 127.0.0.1:47110 -C HERE/fdb.cluster -i 0000000000000001 -d HERE/process-1/data -L HERE/process-1",
		"fdbserver -p 127.0.0.1:47610 -l 127.0.0.1:47610 ", // the last part of one
		"fdbserver -p 127.0.0.1:47110 -l 127.0.0.1:47160 ",
		"fdbserver -p 127.0.0.1:47112 -l 127.0.0.1:47112 -C HERE/fdb.cluster -i 0000000000000003 ",
	} {
		assert.Contains(t, calls, want)
	}
	assert.NotContains(t, calls, "of a dead process fails")
	assert.NotContains(t, calls, "inherited a file")
	assert.Contains(t, string(out), "FoundationDB 7.3 (v7.3.79)")
	// Six of one process, of which one is killed once and started again; one started anew behind
	// a line; three of which one at a time is killed or paused; three that are all killed and started again.
	assert.GreaterOrEqual(t, strings.Count(calls, " fdbserver -p"), 6+1+2+3+3, calls)
	assert.Len(t, regexp.MustCompile(`disturbances: [1-9]`).FindAllString(string(out), -1), 2, "%s", out)
	w.leavesNothing(t)
}

// Whatever goes wrong, it is said, the script fails, and nothing is left behind.
func TestFoundationDBWaysThatFail(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	callers := t.TempDir()
	const suite = "--report"
	for name, c := range map[string]struct {
		env   []string
		ways  []string
		want  string
		never string // what does not run after the failure
	}{
		"a port is taken":            {[]string{"FDB_PORT=" + port}, []string{"one"}, "one of the ports from there is taken", suite},
		"the cluster does not serve": {[]string{"STUB_STATE=unavailable"}, []string{"three"}, "it does not serve", suite},
		"a test fails":               {[]string{"STUB_MAKE=3"}, []string{"tests", "suite"}, "== tests", suite},
		"a part of one fails":        {[]string{"STUB_MAKE=3"}, []string{"one", "restarts"}, "tests: == tests", "report/fdb-restarts"},
		"there is no such way":       {nil, []string{"one", "four"}, "there is no way four", suite},
		"a cluster of the caller's":  {[]string{"FDB_CTL_DIR=" + callers}, []string{"four"}, "there is no way four", suite},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWays(t, c.env, c.ways...)
			require.NoError(t, os.WriteFile(w.log, nil, 0o600))
			out, err := w.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "%s", out)
			assert.Contains(t, string(out), c.want)
			assert.NotContains(t, string(out), "== restarts", "what follows a failure is not run")
			assert.NotContains(t, w.logged(t), c.never)
			w.leavesNothing(t)
			assert.DirExists(t, callers)
		})
	}
}

// An interrupt, as from a terminal, ends it, and nothing is left behind.
func TestFoundationDBWaysInterrupted(t *testing.T) {
	for _, way := range []string{"one", "restarts"} {
		t.Run(way, func(t *testing.T) {
			w := newWays(t, nil, way)
			w.Env = append(w.Env, "FDB_CALM=1")
			w.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			reached := filepath.Join(t.TempDir(), "reached")
			require.NoError(t, syscall.Mkfifo(reached, 0o600))
			hangs := "#!/bin/bash\necho >" + reached + "\nsleep 1000\n"
			require.NoError(t, os.WriteFile(filepath.Join(w.bin, "go"), []byte(hangs), 0o700))
			require.NoError(t, w.Start())
			_, err := os.ReadFile(reached) // until the suite would run
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(-w.Process.Pid, syscall.SIGINT))
			var exit *exec.ExitError
			require.ErrorAs(t, w.Wait(), &exit)
			assert.Equal(t, 130, exit.ExitCode())
			w.leavesNothing(t)
		})
	}
}

// A killed server of several threads has its port until the last of them has ended. Its
// process is a zombie before, and is not dead.
func TestFoundationDBIsNotDeadBeforeItsLastThread(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "fdbserver")
	require.NoError(t, os.WriteFile(server, []byte(`#!/usr/bin/env python3
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
while not os.path.exists(os.environ["FDB_CTL_DIR"] + "/started"):
    time.sleep(0.01)
ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0) # exit, of this thread only
`), 0o700))
	process := filepath.Join(dir, "process-1")
	require.NoError(t, os.Mkdir(process, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(process, "port"), []byte("1"), 0o600))
	ctl := func(what string) {
		cmd := exec.Command("./fdbctl.sh", what)
		cmd.Env = append(os.Environ(), "FDB_CTL_DIR="+dir, "FDBSERVER="+server)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", what, out)
	}
	pid := func() string {
		text, err := os.ReadFile(filepath.Join(process, "pid"))
		require.NoError(t, err)
		return string(text)
	}
	ctl("start")
	t.Cleanup(func() { ctl("kill") })
	first, started := pid(), filepath.Join(dir, "started")
	require.NoError(t, os.WriteFile(started, nil, 0o600)) // not before: a zombie has no command line
	require.Eventually(t, func() bool { return isZombie(first) }, time.Minute, 10*time.Millisecond)
	ctl("start")
	require.Equal(t, first, pid(), "it was started again while a thread of it ran")
	ctl("kill")
	require.NoError(t, os.Remove(started))
	ctl("start")
	require.NotEqual(t, first, pid())
}

func isZombie(pid string) bool {
	number, _, _ := strings.Cut(pid, " ")
	status, err := os.ReadFile("/proc/" + number + "/status")
	return err == nil && strings.Contains(string(status), "zombie")
}

func TestFoundationDBIsNamedWhenMissing(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"dirname", "ls"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(bin, name)))
	}
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	cmd := exec.Command(bash, "./fdb.sh")
	cmd.Env = []string{"PATH=" + bin}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	assert.Contains(t, string(out), "no real cluster was used")
}
