//go:build fdb && fdbsim

package fdbprom

import _ "github.com/kelpie-registry/registry/fdbsim/libfdb" // what the binding calls, for the linker
