package keeperprom_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelpie-registry/registry/keeper"
	"github.com/kelpie-registry/registry/keeper/keeperprom"
)

// One observer serves all keepers of a process.
func Example() {
	o := keeperprom.New("shop")
	prometheus.NewRegistry().MustRegister(o)
	options := keeper.Options{Observer: o}
	fmt.Println(options.Observer == keeper.Observer(o))
	// Output: true
}
