package stategraph

import (
	"io/fs"
	"os"
	"path"
	"strings"
)

// Module is the root module of every graph.
const Module = "RegistryGraph"

// Model is a configuration whose graph is kept.
type Model struct {
	Name   string // "Time"
	Config string // its cfg file in the specification folder
	File   string // the graph's file in the specification folder
}

const configPrefix = "MC" + Module

// Models lists the models in a specification folder: those with a
// configuration of module RegistryGraph.
func Models(fsys fs.FS) ([]Model, error) {
	configs, err := fs.Glob(fsys, configPrefix+"*.cfg")
	if err != nil {
		return nil, err
	}
	var out []Model
	for _, c := range configs {
		name := strings.TrimSuffix(strings.TrimPrefix(c, configPrefix), ".cfg")
		out = append(out, Model{Name: name, Config: c, File: path.Join("graphs", name+".graph.gz")})
	}
	return out, nil
}

// Inputs returns the hash of everything that the model's graph depends on.
func (m Model) Inputs(fsys fs.FS) (string, error) {
	return inputs(fsys, "Registry.tla", Module+".tla", m.Config)
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
