//go:build fdb && fdbsim

package libfdb

import (
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	fdb.MustAPIVersion(730)
	db := fdb.MustOpenDefault()
	_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
		tr.Set(fdb.Key("a"), []byte("1"))
		tr.Set(fdb.Key("b"), []byte("2"))
		return nil, nil
	})
	require.NoError(t, err)
	v, err := db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) {
		return tr.Get(fdb.Key("a")).Get()
	})
	require.NoError(t, err)
	require.Equal(t, []byte("1"), v)
	kvs, err := db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) {
		return tr.GetRange(fdb.KeyRange{Begin: fdb.Key("a"), End: fdb.Key("z")}, fdb.RangeOptions{}).GetSliceWithError()
	})
	require.NoError(t, err)
	require.Equal(t, []fdb.KeyValue{{Key: fdb.Key("a"), Value: []byte("1")}, {Key: fdb.Key("b"), Value: []byte("2")}}, kvs)
}
