// Package testdb opens empty databases for tests: with the tag fdb a random
// prefix on the cluster that FDB_CLUSTER_FILE names, with the tags fdb and fdbsim
// a simulated cluster of its own.
package testdb
