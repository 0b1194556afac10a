// Package wire is what the two JSON Lines forms of this module have in common:
// that of histories, and that of the protocol for registries in other processes.
// The forms themselves differ, in names and in how they write large numbers, and
// stay where they are.
package wire

import (
	"errors"
	"io"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/strictjson"
)

// Decode reads a line strictly into v, as package strictjson says.
func Decode(line []byte, v any) error {
	err := strictjson.Unmarshal(line, v)
	if errors.Is(err, io.EOF) {
		return errors.New("the line is empty, want a JSON object")
	}
	return err
}

// Optional is the pointer for a field that is left out when v is zero.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Value is the inverse of Optional.
func Value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// ClaimID writes a claim's identity, "" for none.
func ClaimID(id registry.ClaimID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// ParseClaimID reads what ClaimID writes.
func ParseClaimID(s string) (registry.ClaimID, error) {
	if s == "" {
		return registry.ClaimID{}, nil
	}
	return registry.ParseClaimID(s)
}
