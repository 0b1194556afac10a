// Package fidelity is the comparison of the simulator with a real FoundationDB: what a 7.3.79 server
// was observed to do through the official Go binding, one fact after the other, as tests. They run
// on the simulator always (tags fdb and fdbsim) and unchanged on a real cluster when FDB_CLUSTER_FILE
// names one (tag fdb alone). Facts that need a server to be paused, killed or made wait for a
// precise time run on the simulator only. The result, fact by fact, is in FIDELITY.md.
package fidelity
