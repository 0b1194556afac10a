package main

import (
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// meter shows how far work has come, when stderr is a terminal; elsewhere it is
// silent, so that logs stay readable.
type meter struct {
	writer progress.Writer // nil when silent
}

func newMeter(w io.Writer) *meter {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &meter{}
	}
	pw := progress.NewWriter()
	pw.SetOutputWriter(w)
	pw.SetUpdateFrequency(100 * time.Millisecond)
	pw.SetTrackerLength(30)
	pw.SetStyle(progress.StyleBlocks)
	pw.Style().Visibility.Value = true
	pw.SetAutoStop(false)
	go pw.Render()
	return &meter{writer: pw}
}

// track begins a line and returns how to move and to end it.
func (m *meter) track(name string) (move func(done, total int, note string), end func()) {
	if m.writer == nil {
		return func(int, int, string) {}, func() {}
	}
	t := &progress.Tracker{Message: name}
	m.writer.AppendTracker(t)
	move = func(done, total int, note string) {
		t.UpdateTotal(int64(total))
		t.SetValue(int64(done))
		t.UpdateMessage(name + " " + note)
	}
	return move, t.MarkAsDone
}

func (m *meter) stop() {
	if m.writer == nil {
		return
	}
	m.writer.Stop()
	for m.writer.IsRenderInProgress() {
		time.Sleep(10 * time.Millisecond) // the library offers nothing to wait on
	}
}
