//go:build fdb && fdbsim

package libfdb

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// table maps the opaque pointers that C code holds to Go objects. A pointer is one byte from malloc:
// unique while it lives, never dereferenced, and no business of Go's garbage collector.
type table[T any] struct {
	what string
	mu   sync.RWMutex
	live map[unsafe.Pointer]T
}

func newTable[T any](what string) *table[T] {
	return &table[T]{what: what, live: make(map[unsafe.Pointer]T)}
}

func (t *table[T]) put(v T) unsafe.Pointer {
	p := C.malloc(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live[p] = v
	return p
}

// get panics on a pointer that is not live: the real library would read freed memory.
func (t *table[T]) get(p unsafe.Pointer) T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.live[p]
	if !ok {
		panic(fmt.Sprintf("libfdb: use of a destroyed %s handle", t.what))
	}
	return v
}

// take removes a pointer that must be live and frees it.
func (t *table[T]) take(p unsafe.Pointer) T {
	v := t.get(p)
	t.mu.Lock()
	delete(t.live, p)
	t.mu.Unlock()
	C.free(p)
	return v
}

func (t *table[T]) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.live)
}

// Live counts what C code holds and has not given back.
type Live struct{ Databases, Transactions, Futures, Results int }

// LiveHandles counts the handles that have not been destroyed and the results that have not been
// released. It is all zero when a program has let go of everything.
func LiveHandles() Live {
	return Live{databases.len(), transactions.len(), futures.len(), int(results.Load())}
}
