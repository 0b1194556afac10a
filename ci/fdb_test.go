package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// written waits until every server that was started has written down how: on a busy
// machine one is killed before it has, and would be missed.
const written = `for p in "$FDB_CTL_DIR"/process-*/pid; do for i in $(seq 600); do grep -q "^$(cat "$p") fdbserver" "$STUB_LOG" && break; sleep 0.05; done; done
`

// The programs that ci/fdb.sh calls, made by hand: a server that only lives, and
// others that write down how they were called and what the control does then.
var stubs = map[string]string{
	"fdbserver": `echo "$$ fdbserver $*" >>"$STUB_LOG"; while true; do sleep 0.05; done`,
	"fdbcli":    `echo "fdbcli $*" >>"$STUB_LOG"`,
	"make": written + `echo "make $* control=${FDB_SERVER_CTL##*/}" >>"$STUB_LOG"
pid=$(cat "$FDB_CTL_DIR/process-1/pid")
state() { sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat"; }
"$FDB_SERVER_CTL" pause 1; for i in 1 2 3 4 5 6 7 8 9; do [ "$(state)" = T ] || sleep 0.1; done
echo "paused $(state)" >>"$STUB_LOG"
"$FDB_SERVER_CTL" resume; "$FDB_SERVER_CTL" kill
case "$(state 2>/dev/null)" in ""|Z) echo "killed" >>"$STUB_LOG";; esac
"$FDB_SERVER_CTL" start; "$FDB_SERVER_CTL" start
"$FDB_SERVER_CTL" pause 7 2>/dev/null || echo "no process 7" >>"$STUB_LOG"
` + written,
	"go": written + `echo "go $* control=${FDB_SERVER_CTL##*/}" >>"$STUB_LOG"
case $* in *report/fdb-three*|*report/fdb-restarts*) for i in $(seq 300); do [ -s "$FDB_CTL_DIR/disturbances" ] && break; sleep 0.1; done; sleep 0.3;; esac
` + written,
}

// All three ways run as they would on real servers, as far as stubs go: which
// processes are started, how the cluster is configured, what is run with which control,
// and that nothing is left behind.
func TestFoundationDBWays(t *testing.T) {
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	for name, body := range stubs {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+body+"\n"), 0o700))
	}
	cmd := exec.Command("./fdb.sh")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "STUB_LOG="+log, "FDB_PORT=47110", "FDB_CALM=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	calls := regexp.MustCompile(`/tmp/[^ \n]*`).ReplaceAllString(string(text), "DIR")

	for _, want := range []string{
		"fdbcli -C DIR --timeout 60 --exec configure new single ssd",
		"fdbcli -C DIR --timeout 60 --exec configure new double ssd",
		"make test-fdb control=fdbctl.sh",
		"paused T", "killed", "no process 7",
		"--section contract,membership,random,concurrent,fencing --report report/fdb-one control=\n",
		"--section durable,faults --histories 3 --parallel 1 --report report/fdb-one-stopped control=fdbctl.sh",
		"--report report/fdb-three control=\n",
		"--report report/fdb-restarts control=\n",
	} {
		assert.Contains(t, calls, want)
	}
	for _, port := range []string{"47110", "47111", "47112"} {
		assert.Contains(t, calls, "fdbserver -p 127.0.0.1:"+port)
	}
	// One process, killed once and started again; three of which one at a time is
	// killed or paused; three that are all killed and started again.
	assert.GreaterOrEqual(t, strings.Count(calls, " fdbserver -p"), 2+3+3, calls)
	assert.Len(t, regexp.MustCompile(`disturbances: [1-9]`).FindAllString(string(out), -1), 2, "%s", out)
	for line := range strings.Lines(string(text)) {
		if pid, server, ok := strings.Cut(line, " fdbserver"); ok {
			status, err := os.ReadFile("/proc/" + pid + "/status")
			assert.True(t, err != nil || strings.Contains(string(status), "zombie"), "left running:%s", server)
		}
	}
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
