package serverctl

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// script hands its arguments to the process that made it and waits for the answer.
const script = `#!/bin/sh
echo "$*" >'%[1]s/request' && read -r answer <'%[1]s/answer' && echo "$answer" && test "$answer" = ok
`

// Handmade makes a program in the empty directory dir that controls s, which lives in
// this process: with it the way to a server through a program is tested on a
// simulated one. End it with stop, when no call is under way.
func Handmade(dir string, s Server) (p Program, stop func() error, err error) {
	path := filepath.Join(dir, "control")
	if err := os.WriteFile(path, fmt.Appendf(nil, script, dir), 0o700); err != nil {
		return p, nil, err
	}
	for _, pipe := range []string{"request", "answer"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			return p, nil, err
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(dir, s) }()
	stop = func() error {
		if err := os.WriteFile(filepath.Join(dir, "request"), []byte("end\n"), 0); err != nil {
			return err
		}
		return <-ended
	}
	return New(path), stop, nil
}

func serve(dir string, s Server) error {
	do := map[string]func() error{"pause": s.Pause, "resume": s.Resume, "kill": s.Kill, "start": s.Start}
	for {
		request, err := os.Open(filepath.Join(dir, "request"))
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(request).ReadString('\n')
		request.Close()
		if err != nil {
			return err
		}
		what, answer := strings.TrimSpace(line), "ok"
		if what == "end" {
			return nil
		}
		if act, known := do[what]; !known {
			answer = "cannot " + what
		} else if err := act(); err != nil {
			answer = err.Error()
		}
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(answer+"\n"), 0); err != nil {
			return err
		}
	}
}
