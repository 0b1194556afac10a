// Package wire reads lines of JSON strictly, for histories and for the protocol
// of registries in other processes.
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
