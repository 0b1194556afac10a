package memimpl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/kelpie-registry/registry"
)

// Why a file cannot be opened. None of them changes the file.
var (
	ErrInUse   = errors.New("registry file is in use by another process or store")
	ErrForeign = errors.New("file is not a registry file")
	ErrFormat  = errors.New("registry file has an unknown format version")
	ErrDamaged = errors.New("registry file is damaged")
)

var (
	registryBucket = []byte("registry")
	buckets        = map[byte][]byte{kindActor: []byte("actors"), kindNode: []byte("nodes")}
)

// boltDisk is a disk on a bbolt file.
//
// bbolt writes the pages of a transaction beside those in use, syncs, then writes
// the page that makes them current, and syncs again: a commit is on the disk as a
// whole or not at all. The free list is not stored but found by walking the tree
// at open, so that no damage to it can hand out a page in use.
type boltDisk struct {
	db       *bolt.DB
	manifest manifest // as on the file
}

// openDisk opens the registry file at path, made for cfg when there is none, and
// gives every record and registration on it to the two functions.
//
// Nothing of it is believed before it was checked: the page tree by checkPages
// (bbolt trusts its pages, and panics on bad ones), each value by its checksum,
// and all values together by the manifest. Then the file is synced once: a process
// that was killed may have left its last transaction in the page cache only, and
// from here on it will be shown to clients.
func openDisk(path string, cfg registry.Config, timeout time.Duration, record func(registry.Placement), node func(registry.Node)) (_ *boltDisk, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createFile(path, cfg); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
	} else if err != nil {
		return nil, err
	}
	// Exclusively opened only after the check; what another process commits in
	// between is whole, and what it keeps open is found in use.
	if err := checkFile(path, timeout); err != nil {
		return nil, err
	}
	db, err := openBolt(path, &bolt.Options{Timeout: timeout, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	d := &boltDisk{db: db}
	if err := d.load(cfg, record, node); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	if err := db.Sync(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

func openBolt(path string, options *bolt.Options) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w (waited %v)", path, ErrInUse, options.Timeout)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// createFile makes the file whole under another name and links it to path, which
// so never names an unfinished file, and never takes the place of another.
func createFile(path string, cfg registry.Config) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "registry")
	db, err := bolt.Open(fresh, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		b, err := tx.CreateBucket(registryBucket)
		if err != nil {
			return err
		}
		return b.Put(manifestKey, encodeManifest(manifest{cfg: cfg}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(fresh, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path)) // or a power loss could take the name
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkFile checks the page tree under bbolt's shared lock.
func checkFile(path string, timeout time.Duration) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// Opened read-only, bbolt looks at the two meta pages only.
	db, err := openBolt(path, &bolt.Options{Timeout: timeout, ReadOnly: true})
	if errors.Is(err, ErrInUse) {
		return err
	} else if err == nil {
		defer db.Close()
	}
	if damage := checkPages(f); damage != nil {
		return fmt.Errorf("%s: %w", path, damage)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// load reads and checks the whole file.
func (d *boltDisk) load(cfg registry.Config, record func(registry.Placement), node func(registry.Node)) error {
	return d.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(registryBucket)
		if b == nil {
			return fmt.Errorf("%w: another program's database", ErrForeign)
		}
		m, err := decodeManifest(b.Get(manifestKey))
		if err != nil {
			return err
		}
		if err := cfg.Match(m.cfg); err != nil {
			return err
		}
		found := manifest{cfg: m.cfg}
		err = errors.Join(
			loadBucket(tx, kindActor, &found, decodeRecord, record),
			loadBucket(tx, kindNode, &found, decodeNode, node))
		if err != nil {
			return err
		}
		if found != m {
			return fmt.Errorf("%w: %d values with sum %x, the manifest says %d with sum %x", ErrDamaged, found.values, found.sum, m.values, m.sum)
		}
		d.manifest = m
		return nil
	})
}

func loadBucket[T any](tx *bolt.Tx, kind byte, found *manifest, decode func(key, value []byte) (T, error), use func(T)) error {
	b := tx.Bucket(buckets[kind])
	if b == nil {
		return fmt.Errorf("%w: there is no bucket %q", ErrDamaged, buckets[kind])
	}
	return b.ForEach(func(key, value []byte) error {
		v, err := decode(key, value)
		if err != nil {
			return fmt.Errorf("%w: %s %q: %w", ErrDamaged, buckets[kind], key, err)
		}
		found.replace(nil, value)
		use(v)
		return nil
	})
}

// commit implements disk.
func (d *boltDisk) commit(changes []change) error {
	tx, err := d.db.Begin(true)
	if err != nil {
		return err
	}
	next := d.manifest
	if err := put(tx, changes, &next); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	id := tx.ID()
	if err := tx.Commit(); err != nil {
		return d.outcome(id, err)
	}
	d.manifest = next
	return nil
}

func put(tx *bolt.Tx, changes []change, m *manifest) error {
	for _, c := range changes {
		kind, key, value := c.encode()
		b := tx.Bucket(buckets[kind])
		m.replace(b.Get(key), value)
		if err := b.Put(key, value); err != nil {
			return err
		}
	}
	return tx.Bucket(registryBucket).Put(manifestKey, encodeManifest(*m))
}

// outcome tells what became of a transaction whose commit failed. The page that
// makes a transaction current is written last, once: while the file's current
// transaction is an older one, that page was not written, nothing will write it
// any more, and what was written of the others is free space. Otherwise it is the
// sync after it that failed, and whether it reached the disk nobody can know.
func (d *boltDisk) outcome(id int, err error) error {
	current := id // unless the file can be asked
	viewErr := d.db.View(func(tx *bolt.Tx) error { current = tx.ID(); return nil })
	if current >= id {
		return fmt.Errorf("%w: %w", errUncertain, errors.Join(err, viewErr))
	}
	return err
}

// close implements disk.
func (d *boltDisk) close() error { return d.db.Close() }
