//go:build yield

package memtest

import "github.com/kelpie-registry/registry/conformance"

var _ conformance.Scheduled = (*cluster)(nil)

// SetYield implements [conformance.Scheduled].
func (c *cluster) SetYield(yield func(point string)) { c.store.SetYield(yield) }
