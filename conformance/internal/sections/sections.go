// Package sections has the cases that the suite executes, one file for each section;
// a section with many cases has further files that begin with its name.
package sections

import (
	"sync"

	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// All lists the sections in the order of execution: the simplest
// question first, so that the first conviction is the easiest to read. Every
// judgement shares them, and none changes them.
var All = sync.OnceValue(func() []trial.Section {
	return []trial.Section{contractSection(), membershipSection(), extremesSection(), edgesSection(), randomSection(), concurrentSection(), handlesSection(), contextsSection(), schedulesSection(), fencingSection(), durableSection(), faultsSection(), purgeSection()}
})
