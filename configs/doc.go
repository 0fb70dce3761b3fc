// Package configs is Millrace's configuration model: one documented struct
// per component, read from one YAML file (millrace.yaml) plus the files that
// it includes.
//
// A configuration goes through four steps, in this order: parse (gopkg.in/yaml.v3
// nodes, so that every error has a file, line and column), expand (${VAR},
// ${VAR:-default}, ${file:PATH}), defaults, validate. All problems are
// reported at once by [Errors]. After [Load] returned, the value is immutable:
// components copy what they need and never write to it.
//
// The package imports nothing of Millrace; every other package may import it.
// The reference page docs/configuration.md is generated from the comments of
// these structs.
package configs

//go:generate go run -C .. ./configs/gen
