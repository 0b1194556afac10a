package locks

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kelpie-registry/registry/adapt"
)

// format and parse are the value of a lock that has a token.
func format(token uint64, owner string) string { return fmt.Sprintf("%d %s", token, owner) }

func parse(value string) adapt.Tenure {
	number, owner, _ := strings.Cut(value, " ")
	token, _ := strconv.ParseUint(number, 10, 64)
	return adapt.Tenure{Token: token, Owner: owner}
}
