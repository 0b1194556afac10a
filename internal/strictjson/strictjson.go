// Package strictjson reads JSON as this module's formats define it. The standard
// decoder alone accepts several texts for one value: names in another case, a
// name given twice, bytes that are not UTF-8, text behind the value. Two readers
// may then understand one text differently.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Unmarshal reads data into v: exactly one value in valid UTF-8, whose objects
// name each of v's fields at most once, exactly as its tag does, and no other. On
// an error v may be partly written.
func Unmarshal(data []byte, v any) error {
	if len(bytes.TrimLeft(data, " \t\r\n")) == 0 {
		return io.EOF
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if len(bytes.TrimLeft(data[d.InputOffset():], " \t\r\n")) > 0 {
		return errors.New("there is more than one JSON value")
	}
	if !utf8.Valid(data) {
		return errors.New("the text is not valid UTF-8")
	}
	s := scanner{data: data}
	return s.value(reflect.TypeOf(v))
}

// scanner walks over a text that is known to be one JSON value.
type scanner struct {
	data []byte
	pos  int
}

// value walks over one value that was read into a t; nil where t's own code or
// an interface took it.
func (s *scanner) value(t reflect.Type) error {
	t = plain(t)
	switch s.skipSpace(); s.data[s.pos] {
	case '{':
		return s.object(t)
	case '[':
		return s.array(t)
	case '"':
		_, err := s.text()
		return err
	}
	for s.pos < len(s.data) && !bytes.ContainsRune([]byte(" \t\r\n,]}"), rune(s.data[s.pos])) {
		s.pos++
	}
	return nil
}

func (s *scanner) object(t reflect.Type) error {
	seen := map[string]bool{}
	for s.more('}') {
		name, err := s.text()
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("field %q appears twice", name)
		}
		seen[name] = true
		var of reflect.Type
		switch {
		case t == nil:
		case t.Kind() == reflect.Map:
			of = t.Elem()
		case t.Kind() == reflect.Struct:
			known := false
			if of, known = fields(t)[name]; !known {
				return fmt.Errorf("unknown field %q: names are told apart by case", name)
			}
		}
		s.skipSpace()
		s.pos++ // the colon
		if err := s.value(of); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) array(t reflect.Type) error {
	var of reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		of = t.Elem()
	}
	for s.more(']') {
		if err := s.value(of); err != nil {
			return err
		}
	}
	return nil
}

// more steps over a bracket or comma to the next item, or behind the end.
func (s *scanner) more(end byte) bool {
	s.skipSpace()
	if s.data[s.pos] != end {
		s.pos++
		s.skipSpace()
	}
	if s.data[s.pos] == end {
		s.pos++
		return false
	}
	return true
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.pos]) >= 0 {
		s.pos++
	}
}

// text returns the string at the scanner's place. Half of a surrogate pair
// stands for no character; the decoder would make U+FFFD of it.
func (s *scanner) text() (string, error) {
	start := s.pos
	escaped := false
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		if s.data[s.pos] != '\\' {
			continue
		}
		escaped = true
		if err := s.escape(); err != nil {
			return "", err
		}
	}
	s.pos++
	quoted := s.data[start:s.pos]
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var text string
	err := json.Unmarshal(quoted, &text)
	return text, err
}

// escape goes from the backslash of an escape to its last byte.
func (s *scanner) escape() error {
	s.pos++
	if s.data[s.pos] != 'u' {
		return nil
	}
	unit := s.unit(s.pos + 1)
	s.pos += 4
	if !utf16.IsSurrogate(unit) {
		return nil
	}
	if rest := s.data[s.pos+1:]; bytes.HasPrefix(rest, []byte(`\u`)) && utf16.DecodeRune(unit, s.unit(s.pos+3)) != utf8.RuneError {
		s.pos += 6
		return nil
	}
	return errors.New("the text has half of a surrogate pair")
}

func (s *scanner) unit(at int) rune {
	n, _ := strconv.ParseUint(string(s.data[at:at+4]), 16, 16) // the decoder has read the same digits
	return rune(n)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// plain returns the type that an object's or array's items were read by, nil
// where a type reads itself.
func plain(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer && !t.Implements(unmarshaler) {
		t = t.Elem()
	}
	if t == nil || t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	return t
}

var known sync.Map // of reflect.Type to its fields by name

// fields returns the types of a struct's fields by their names in JSON.
func fields(t reflect.Type) map[string]reflect.Type {
	if m, ok := known.Load(t); ok {
		return m.(map[string]reflect.Type)
	}
	m := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && plain(f.Type) != nil && plain(f.Type).Kind() == reflect.Struct:
			for inner, of := range fields(plain(f.Type)) {
				if _, outer := m[inner]; !outer {
					m[inner] = of
				}
			}
		case !f.IsExported() || f.Tag.Get("json") == "-":
		case name == "":
			m[f.Name] = f.Type
		default:
			m[name] = f.Type
		}
	}
	known.Store(t, m)
	return m
}
