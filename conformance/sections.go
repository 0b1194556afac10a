package conformance

// allSections lists the sections in the order of execution: the simplest
// question first, so that the first conviction is the easiest to read.
func allSections() []Section {
	return []Section{contractSection(), membershipSection(), extremesSection(), edgesSection(), randomSection(), concurrentSection(), handlesSection(), contextsSection(), schedulesSection(), fencingSection(), durableSection(), faultsSection()}
}
