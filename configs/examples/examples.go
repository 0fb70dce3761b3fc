// Package examples holds configuration files that are ready to use, as they
// are shipped and as the documentation shows them. [Demo] are the files that
// "millrace up --demo" runs with.
//
// The files are data: nothing here is parsed or changed.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed demo/*.yaml
var demo embed.FS

// Demo returns the files of the demonstration: millrace.yaml with the inputs and
// notifiers, and one file for each pipeline. They read the folder of the logs
// from ${MILLRACE_DEMO_DIR}.
func Demo() fs.FS {
	sub, err := fs.Sub(demo, "demo")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}
