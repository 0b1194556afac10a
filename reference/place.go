package reference

import "strconv"

// lines of the guards' definitions in the specification.
var lines = map[Guard]int{
	NodeKnown:     103,
	NodeNotFailed: 104,
	NodeAbsent:    105,
	NodeSilent:    106,
	TokenCurrent:  107,
	TenureHeld:    108,
	NotLapsed:     109,
	StillLive:     110,
	Claimable:     111,
}

// Place returns where the guard is defined, as "spec/tla/Registry.tla:103", and
// "" for Enabled.
func (g Guard) Place() string {
	line, ok := lines[g]
	if !ok {
		return ""
	}
	return "spec/tla/Registry.tla:" + strconv.Itoa(line)
}
