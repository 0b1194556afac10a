package explain

import (
	"bufio"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/kelpie-registry/registry/spec"
)

// definition is where a TLA+ module defines an operator.
type definition struct {
	place string
	text  string // its first line
}

// definitions are those of the modules that rules cite, by name.
var definitions = sync.OnceValue(func() map[string]definition {
	all := map[string]definition{}
	for _, module := range []string{"Registry.tla", "Keeper.tla"} {
		text, err := fs.ReadFile(spec.TLA(), module)
		if err != nil {
			panic(err) // it is part of the program
		}
		scan(all, "spec/tla/"+module, string(text))
	}
	return all
})

// scan finds the definitions: lines that begin, in the first column, with a name,
// perhaps parameters, and ==. The first of a name counts.
func scan(all map[string]definition, path, module string) {
	in := bufio.NewScanner(strings.NewReader(module))
	for line := 1; in.Scan(); line++ {
		head, _, ok := strings.Cut(in.Text(), "==")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimRight(head, " "), "(")
		if name == "" || strings.Trim(name, nameLetters) != "" {
			continue
		}
		if _, ok := all[name]; !ok {
			all[name] = definition{fmt.Sprintf("%s:%d", path, line), strings.Join(strings.Fields(in.Text()), " ")}
		}
	}
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// Place returns where the specification defines an operator, as
// "spec/tla/Registry.tla:111", and "" when it does not.
func Place(operator string) string { return definitions()[operator].place }

// Definition returns the line that defines an operator, and "" when there is none
// or it goes on in the next line.
func Definition(operator string) string {
	if text := definitions()[operator].text; !strings.HasSuffix(text, "==") {
		return text
	}
	return ""
}
