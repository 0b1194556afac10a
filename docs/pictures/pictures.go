// Package pictures has the pictures that the documents and the report's home page
// share. Each is an SVG element without an XML declaration, to be shown as a file or
// within a page:
//
//	page.Execute(w, template.HTML(pictures.Lease))
package pictures

import _ "embed"

var (
	// Lease is the life of a lease: live, grace, lapsed, reclaimable, and why the
	// margin is 2ε.
	//go:embed lease.svg
	Lease string
	// F1 is the schedule of a claim whose write does not compare the version.
	//go:embed f1.svg
	F1 string
)
