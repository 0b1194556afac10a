package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/kelpie-registry/registry"
)

// meter shows on one line of a terminal how far work has come. Elsewhere it prints
// a line when a piece of work is done, so that logs stay readable.
type meter struct {
	mu    sync.Mutex
	w     io.Writer
	width func() int // of the terminal; nil when w is none
	done  chan struct{}
	wg    sync.WaitGroup

	works []*work // under way, in the order in which they began
	shown bool    // the line is on the screen
}

// work is a piece of work and how far it has come.
type work struct {
	name, note string
	n, total   int
	since      registry.Instant
}

func (k *work) took() time.Duration {
	return registry.SystemClock().Now().Sub(k.since).Round(time.Second)
}

func (k *work) String() string {
	if k.total == 0 {
		return fmt.Sprintf("%s %v %s", k.name, k.took(), k.note)
	}
	return fmt.Sprintf("%s %d/%d %v %s", k.name, k.n, k.total, k.took(), k.note)
}

func newMeter(w io.Writer) *meter {
	m := &meter{w: w, done: make(chan struct{})}
	if isTerminal(w) {
		m.width = func() int { return columns(w) }
		m.wg.Go(m.tick)
	}
	return m
}

// tick redraws the line so that its time goes on within a long case.
func (m *meter) tick() {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-m.done:
			return
		case <-t.C:
			m.mu.Lock()
			m.draw()
			m.mu.Unlock()
		}
	}
}

// track begins a piece of work and returns how to move and to end it.
func (m *meter) track(name string) (move func(done, total int, note string), end func()) {
	k := &work{name: name, since: registry.SystemClock().Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.works = append(m.works, k)
	move = func(done, total int, note string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		k.n, k.total, k.note = done, total, note
	}
	return move, func() { m.end(k) }
}

func (m *meter) end(k *work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	m.works = slices.DeleteFunc(m.works, func(other *work) bool { return other == k })
	if m.width == nil && k.total > 0 {
		fmt.Fprintf(m.w, "%s: %d of %d done in %v\n", k.name, k.n, k.total, k.took())
	}
}

// aside prints something else, on a line of its own.
func (m *meter) aside(print func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	print()
}

func (m *meter) wipe() {
	if m.shown {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.shown = false
	}
}

func (m *meter) draw() {
	if len(m.works) == 0 {
		return
	}
	var each []string
	for _, k := range m.works {
		each = append(each, k.String())
	}
	m.wipe()
	fmt.Fprint(m.w, text.Trim(strings.Join(each, " · "), m.width()-1))
	m.shown = true
}

// stop ends the showing.
func (m *meter) stop() {
	close(m.done)
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	m.works = nil
}
