package main

import (
	"fmt"
	"io"
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

	name, note  string
	n, total    int
	since       registry.Instant
	line, shown bool // there is a line to show; it is on the screen
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name, m.note, m.n, m.total, m.since, m.line = name, "", 0, 0, registry.SystemClock().Now(), true
	move = func(done, total int, note string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.n, m.total, m.note = done, total, note
	}
	return move, m.end
}

func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	m.line = false
	if m.width == nil && m.total > 0 {
		fmt.Fprintf(m.w, "%s: %d of %d done in %v\n", m.name, m.n, m.total, m.took())
	}
}

func (m *meter) took() time.Duration {
	return registry.SystemClock().Now().Sub(m.since).Round(time.Second)
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
	if !m.line {
		return
	}
	line := fmt.Sprintf("%s %v %s", m.name, m.took(), m.note)
	if m.total > 0 {
		line = fmt.Sprintf("%s %d/%d %v %s", m.name, m.n, m.total, m.took(), m.note)
	}
	m.wipe()
	fmt.Fprint(m.w, text.Trim(line, m.width()-1))
	m.shown = true
}

// stop ends the showing.
func (m *meter) stop() {
	close(m.done)
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	m.line = false
}
