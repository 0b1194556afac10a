package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/conformance/remote"
)

// pipe serves b to itself: the protocol tested against its other half.
func pipe(t *testing.T, b conformance.Backend) *remote.Process {
	fromSuite, toServer := io.Pipe()
	fromServer, toSuite := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- remote.Serve(context.Background(), fromSuite, toSuite, b)
		toSuite.Close()
	}()
	p, err := remote.Connect(fromServer, toServer, toServer.Close)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, p.Err())
		assert.NoError(t, p.Close())
		assert.NoError(t, <-served)
	})
	return p
}

// A sound registry behind the protocol is still sound: the whole suite passes.
func TestSoundStaysSound(t *testing.T) {
	r, err := conformance.Judge(t.Context(), pipe(t, broken.Sound()).Backend(), allButEdges(), conformance.Level(conformance.Quick))
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Conviction != nil {
			t.Errorf("%s\n%s", c.ID(), c.Conviction)
		}
		assert.NotEqual(t, conformance.Unknown, c.Verdict, "%s: %s", c.ID(), c.Reason)
	}
	for _, c := range r.Capabilities {
		assert.Empty(t, c.Problem, c.Capability)
	}
}

// allButEdges leaves out the section whose hundreds of thousands of calls would
// each cross the pipe; a child's own suite run has it.
func allButEdges() conformance.Option {
	var names []string
	for _, s := range conformance.Sections() {
		if s.Name != "edges" {
			names = append(names, s.Name)
		}
	}
	return conformance.OnlySections(names...)
}

// A broken one is still convicted.
func TestBrokenStaysBroken(t *testing.T) {
	for _, id := range []string{"F1", "F6", "F7", "F8", "F9", "F12", "F15", "M119", "M120", "M123", "M125"} {
		v, ok := broken.Find(id)
		require.True(t, ok)
		r, err := conformance.Judge(t.Context(), pipe(t, v.Backend()).Backend(), conformance.OnlySections(v.Section), conformance.StopAtFirst(), conformance.CallTimeout(time.Second))
		require.NoError(t, err)
		assert.Positive(t, r.Count(conformance.Convicted), id)
	}
}

// Faults and state are asked for through the protocol, and a conviction names the
// call that suffered.
func TestFaultsAndSeeds(t *testing.T) {
	for id, want := range map[string]string{
		"M106": " suffers: it happens, and the caller is told that the outcome is unknown",
		"M157": "Validate(a, token 9223372036854775802)",
	} {
		v, ok := broken.Find(id)
		require.True(t, ok)
		r, err := conformance.Judge(t.Context(), pipe(t, v.Backend()).Backend(), conformance.OnlyCases(regexp.MustCompile("^(faults/lost-answers|extremes/seeded-counters)$")))
		require.NoError(t, err)
		var texts string
		for _, c := range r.Cases {
			if c.Conviction != nil {
				texts += c.Conviction.String()
			}
		}
		assert.Contains(t, texts, want, id)
	}
}

// A cluster has the powers that the child declared, and no others.
func TestPowers(t *testing.T) {
	for _, declared := range [][]conformance.Capability{
		{}, {conformance.Restart}, {conformance.Faulty}, {conformance.Seeding}, {conformance.Restart, conformance.Faulty},
		{conformance.Restart, conformance.Seeding}, {conformance.Faulty, conformance.Seeding}, {conformance.Restart, conformance.Faulty, conformance.Seeding},
	} {
		powers, err := json.Marshal(declared)
		require.NoError(t, err)
		p, err := start(t, "powers "+string(powers))
		require.NoError(t, err)
		c, err := p.New(registry.DefaultConfig())
		require.NoError(t, err)
		var has []conformance.Capability
		if _, ok := c.(conformance.Restarter); ok {
			has = append(has, conformance.Restart)
		}
		if _, ok := c.(conformance.FaultInjector); ok {
			has = append(has, conformance.Faulty)
		}
		if _, ok := c.(conformance.Seeder); ok {
			has = append(has, conformance.Seeding)
		}
		assert.ElementsMatch(t, declared, has)
		assert.NoError(t, p.Err())
		assert.NoError(t, p.Close())
	}
}

// What the child says of a request for faults or state: a store that cannot hold the
// numbers is none, and a child without the faults that it declared is not judged.
func TestRefusedPowers(t *testing.T) {
	p, err := start(t, "refuses powers")
	require.NoError(t, err)
	c, err := p.New(registry.DefaultConfig())
	require.NoError(t, err)
	assert.ErrorIs(t, c.(conformance.Seeder).Seed(nil, nil), errors.ErrUnsupported)
	c.(conformance.FaultInjector).SetFaults(conformance.Faults{Seed: 1<<64 - 1, Late: 1})
	assert.ErrorContains(t, p.Err(), "it was asked for faults: ")
	_ = p.Close()
}

// TestMain turns the test binary into a child of the kind that its environment
// names.
func TestMain(m *testing.M) {
	if kind := os.Getenv("REMOTE_TEST_CHILD"); kind != "" {
		child(kind)
		return
	}
	os.Exit(m.Run())
}

const greeting = `{"protocol":"kelpie-registry","version":1,"name":"child","time":"passed"}`

// child is a registry with a mistake of the protocol.
func child(kind string) {
	if kind == "good" {
		if err := remote.Serve(context.Background(), os.Stdin, os.Stdout, broken.Sound()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if first, ok := strings.CutPrefix(kind, "greets "); ok {
		fmt.Println(first)
		return
	}
	in := bufio.NewScanner(os.Stdin)
	switch powers, declares := strings.CutPrefix(kind, "powers "); {
	case declares:
		fmt.Printf(`{"protocol":"kelpie-registry","version":2,"name":"child","time":"passed","capabilities":%s}`+"\n", powers)
	case kind == "refuses powers":
		fmt.Println(`{"protocol":"kelpie-registry","version":2,"name":"child","time":"passed","capabilities":["faults","seed"]}`)
	default:
		fmt.Println(greeting)
	}
	for n := 1; in.Scan(); n++ {
		switch {
		case kind == "refuses powers" && n > 1:
			fmt.Printf("{\"id\":%d,\"error\":{\"reason\":\"ErrInvalid\",\"field\":\"state\",\"text\":\"has 64 bits\"}}\n", n+1)
		case n < 3:
			fmt.Printf("{\"id\":%d}\n", n*2) // clusters, handles and requests share their identities
		case kind == "dies":
			os.Exit(7)
		case kind == "silent":
		case kind == "garbage":
			fmt.Println("panic: out of cheese")
		case kind == "stranger":
			fmt.Println(`{"id":1000000}`)
		case kind == "twice":
			fmt.Printf("{\"id\":4}\n")
		case kind == "unknown error":
			fmt.Printf("{\"id\":%d,\"error\":{\"reason\":\"ErrStrange\"}}\n", n+2)
		}
	}
}

func start(t *testing.T, kind string) (*remote.Process, error) {
	exe, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(exe)
	c.Env = append(os.Environ(), "REMOTE_TEST_CHILD="+kind)
	return remote.Start(c, io.Discard)
}

func TestChildProcess(t *testing.T) {
	p, err := start(t, "good")
	require.NoError(t, err)
	r, err := conformance.Judge(t.Context(), p.Backend(), conformance.OnlySections("membership", "fencing"), conformance.Level(conformance.Quick))
	require.NoError(t, err)
	assert.True(t, r.Passed())
	assert.NoError(t, p.Err())
	assert.NoError(t, p.Close())
}

// A child that does not greet is refused with what it said.
func TestGreetings(t *testing.T) {
	for line, want := range map[string]string{
		"":       "the line is empty",
		"hello!": `its greeting is "hello!"`,
		`{"protocol":"http","version":1,"name":"x","time":"passed"}`:                                      `protocol is "http"`,
		`{"protocol":"kelpie-registry","version":3,"name":"x","time":"passed"}`:                           "protocol version is 3",
		`{"protocol":"kelpie-registry","version":1,"time":"passed"}`:                                      "no name",
		`{"protocol":"kelpie-registry","version":1,"name":"x","time":"late"}`:                             `time is "late"`,
		`{"protocol":"kelpie-registry","version":1,"name":"x","time":"own"}`:                              "needs a config",
		`{"protocol":"kelpie-registry","version":1,"name":"x","time":"passed","capabilities":["magic"]}`:  `capability "magic"`,
		`{"protocol":"kelpie-registry","version":1,"name":"x","time":"passed","capabilities":["faults"]}`: `capability "faults" is not part of the protocol, version 1`,
		`{"protocol":"kelpie-registry","version":1,"name":"x","time":"passed","more":1}`:                  "unknown field",
	} {
		_, err := start(t, "greets "+line)
		assert.ErrorContains(t, err, want)
	}
	_, err := remote.Start(exec.Command("/nonexistent/registry"), io.Discard)
	assert.Error(t, err)
}

// A child that dies, stays silent or babbles: every call gets an error that
// tells the truth, and Err says what happened.
func TestBadChildren(t *testing.T) {
	cfg := registry.DefaultConfig()
	for kind, want := range map[string]string{
		"dies":     "it closed its output",
		"garbage":  "out of cheese",
		"stranger": "answers request 1000000, which was not made",
		"twice":    "answers request 4 a second time",
		"silent":   "",
	} {
		t.Run(kind, func(t *testing.T) {
			p, err := start(t, kind)
			require.NoError(t, err)
			c, err := p.New(cfg)
			require.NoError(t, err)
			h, err := c.Open(cfg, registry.NewManualClock(5))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err = h.Claim(ctx, registry.ActorID{Namespace: "a", Name: "b"}, registry.NodeRef{ID: "n", Epoch: 1}, registry.NewClaimID())
			var ambiguous *registry.AmbiguousError
			require.ErrorAs(t, err, &ambiguous, "it was sent and not answered")
			assert.True(t, ambiguous.MayStillApply)
			if want == "" {
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.NoError(t, p.Err())
			} else {
				assert.ErrorContains(t, p.Err(), want)
				_, _, err = h.Lookup(t.Context(), registry.ActorID{Namespace: "a", Name: "b"})
				assert.ErrorIs(t, err, registry.ErrUnavailable)
			}
			_ = p.Close()
		})
	}
}

func TestUnknownErrorIsNoneOfTheContract(t *testing.T) {
	p, err := start(t, "unknown error")
	require.NoError(t, err)
	defer p.Close()
	cfg := registry.DefaultConfig()
	c, err := p.New(cfg)
	require.NoError(t, err)
	h, err := c.Open(cfg, registry.NewManualClock(5))
	require.NoError(t, err)
	err = h.Heartbeat(t.Context(), registry.NodeRef{ID: "n", Epoch: 1})
	assert.ErrorContains(t, err, `unknown reason "ErrStrange"`)
	assert.False(t, errors.Is(err, registry.ErrUnavailable))
}
