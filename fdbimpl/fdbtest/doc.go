// Package fdbtest makes package fdbimpl a backend of the conformance suite: with
// the tag fdb on a cluster, below a random prefix that is cleared afterwards; with
// the tags fdb and fdbsim on the stand-in, one simulated cluster per conformance
// cluster, with faults and restarts.
package fdbtest
