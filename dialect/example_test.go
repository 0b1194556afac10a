package dialect_test

import (
	"fmt"

	"github.com/kelpie-registry/registry/dialect"
)

// A lock whose tokens are the store's revisions, and whose time is the store's.
func Example() {
	d := dialect.Dialect{SparseTokens: true, StoreClock: true, NoMembership: true, NoTransfer: true, NoListing: true}
	fmt.Println(d.Shape())
	fmt.Println(d)
	same, err := dialect.Parse(d.String())
	fmt.Println(same == d, err)
	// Output:
	// lock
	// store-clock,sparse-tokens,no-membership,no-transfer,no-listing
	// true <nil>
}
