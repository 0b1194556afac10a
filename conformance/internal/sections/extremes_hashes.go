package sections

import "slices"

// collision is two names of which a hash of 32 bits is the same, when they stand behind
// the prefix. Where the prefix is "any", they are of one length, and the hash is then
// the same behind every one.
type collision struct{ hash, prefix, one, other string }

// anyPrefix says that two names collide behind whatever stands before both.
const anyPrefix = "any"

// collisions are of hashes that are at hand in most languages. A test computes them.
// Of the digests it is the first four bytes, which is what a short name for something
// long is often made of. The namespace stands before the name, as in [lockstep.Run.Actor].
var collisions = []collision{
	{"fnv1", "", "0468eb", "085938"},
	{"fnv1", "conform", "0089db", "047828"},
	{"fnv1", "conform/", "04698b", "0858b8"},
	{"fnv1", "conform:", "0468eb", "085938"},
	{"fnv1", "conform\x00", "0089bb", "043848"},
	{"fnv1a", "", "009f8a", "099aa0"},
	{"fnv1a", "conform", "01695b", "0518c8"},
	{"fnv1a", "conform/", "0188eb", "053938"},
	{"fnv1a", "conform:", "01695b", "0518c8"},
	{"fnv1a", "conform\x00", "02398b", "0688b8"},
	{"md5", "", "00e184", "0106b5"},
	{"md5", "conform", "00d003", "00e270"},
	{"md5", "conform/", "000e43", "00dc4b"},
	{"md5", "conform:", "003ab5", "01b310"},
	{"md5", "conform\x00", "000cf5", "009c42"},
	{"sha1", "", "009488", "0109b3"},
	{"sha1", "conform", "0052f2", "00af72"},
	{"sha1", "conform/", "001cac", "0029a9"},
	{"sha1", "conform:", "00f5e9", "0286d7"},
	{"sha1", "conform\x00", "00221a", "020e59"},
	{"sha256", "", "00c2ed", "0114e7"},
	{"sha256", "conform", "004893", "005699"},
	{"sha256", "conform/", "005e7b", "006780"},
	{"sha256", "conform:", "008982", "015e85"},
	{"sha256", "conform\x00", "010c6a", "01f4ca"},
	{"crc32", anyPrefix, "jwadjele", "cgslqqmr"},
	{"crc32c", anyPrefix, "sygetqxf", "vbesjyxs"},
	{"adler32", anyPrefix, "fegmotaf", "gctaubgl"},
	{"31", anyPrefix, "Aa", "BB"},
	{"33", anyPrefix, "Ab", "BA"},
}

// collidingNames returns each name once.
func collidingNames() (names []string) {
	for _, c := range collisions {
		names = append(names, c.one, c.other)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
