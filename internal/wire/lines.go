package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Lines reads lines of at most so many bytes.
type Lines struct {
	*bufio.Scanner
	most int
}

// NewLines returns the lines of r.
func NewLines(r io.Reader, most int) Lines {
	l := Lines{bufio.NewScanner(r), most}
	l.Buffer(make([]byte, 0, min(most, 64<<10)), most)
	return l
}

// Err returns why there are no more lines, nil at the end of them.
func (l Lines) Err() error {
	err := l.Scanner.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("the line is longer than %d bytes", l.most)
	}
	return err
}
