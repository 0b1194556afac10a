package stategraph

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// The root modules of the graphs: one for the steps of a model, one for what
// every call is answered in every state.
const (
	Steps   = "RegistryGraph"
	Answers = "RegistryAsked"
)

// Model is a configuration whose graph is kept.
type Model struct {
	Name   string // "Time"; of the answers "Asked"
	Module string // Steps or Answers
	Config string // its cfg file in the specification folder
	File   string // the graph's file in the specification folder
}

// Models lists the models in a specification folder: those with a
// configuration of one of the root modules.
func Models(fsys fs.FS) ([]Model, error) {
	var out []Model
	for module, strip := range map[string]string{Steps: "MC" + Steps, Answers: "MCRegistry"} {
		configs, err := fs.Glob(fsys, "MC"+module+"*.cfg")
		if err != nil {
			return nil, err
		}
		for _, c := range configs {
			name := strings.TrimSuffix(strings.TrimPrefix(c, strip), ".cfg")
			out = append(out, Model{Name: name, Module: module, Config: c, File: path.Join("graphs", name+".graph.gz")})
		}
	}
	slices.SortFunc(out, func(a, b Model) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Inputs returns the hash of everything that the model's graph depends on.
func (m Model) Inputs(fsys fs.FS) (string, error) {
	if m.Module == Answers {
		return inputs(fsys, "Registry.tla", "RegistryAnswers.tla", Answers+".tla", m.Config)
	}
	return inputs(fsys, "Registry.tla", Steps+".tla", m.Config)
}

// Load reads the model's committed graph from the specification folder dir.
func (m Model) Load(dir string) (Graph, error) {
	f, err := os.Open(path.Join(dir, m.File))
	if err != nil {
		return Graph{}, err
	}
	defer f.Close()
	return Read(f)
}
