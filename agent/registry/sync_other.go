//go:build !linux

package registry

import "os"

func dataSync(f *os.File) error { return f.Sync() }
