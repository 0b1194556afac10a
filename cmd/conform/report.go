package main

import "github.com/kelpie-registry/registry/conformance"

func writeReports(dir string, reports []*conformance.Report) error { return nil }
