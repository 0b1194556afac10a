package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Lines reads lines of at most so many bytes. The last one may lack its end; where
// reading ends with an error, what was read of a line by then is none.
type Lines struct {
	*bufio.Scanner
	most int
	open *bool // the line lacks its end
}

// NewLines returns the lines of r.
func NewLines(r io.Reader, most int) Lines {
	l := Lines{bufio.NewScanner(r), most, new(bool)}
	l.Buffer(make([]byte, 0, min(most, 64<<10)), most)
	l.Split(func(data []byte, atEnd bool) (int, []byte, error) {
		n, line, err := bufio.ScanLines(data, atEnd)
		*l.open = n > 0 && data[n-1] != '\n'
		return n, line, err
	})
	return l
}

// Scan reads the next line, and reports whether there is one.
func (l Lines) Scan() bool {
	return l.Scanner.Scan() && !(*l.open && l.Scanner.Err() != nil)
}

// Err returns why there are no more lines, nil at the end of them.
func (l Lines) Err() error {
	err := l.Scanner.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("the line is longer than %d bytes", l.most)
	}
	return err
}
