package fdbimpl

// batchSize is the number of renewals in one transaction: 200 reads and 200 writes,
// at most a tenth of FoundationDB's 10 MB with the longest names, and a few
// milliseconds of its five seconds.
const batchSize = 100
