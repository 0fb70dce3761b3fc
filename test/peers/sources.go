package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GoTestSource says where the tests of a Go package of another module are.
type GoTestSource struct {
	Module, Version string
	// Package is its folder in the module; Tags are build tags, separated by commas.
	Package, Tags string
	// Edit, which may be nil, changes a test file's text before it is compiled;
	// what differs by it must differ in Variant.
	Edit    func(text string) string
	Variant string
}

// GoTests returns the folder of a Go package of another module and the binary
// of its tests.
func GoTests(t testing.TB, s GoTestSource) (dir, binary string) {
	t.Helper()
	name := "tests-" + strings.ReplaceAll(s.Module, "/", "-") + "-" + s.Version + s.Variant
	root := install(t, name, func(tmp string) error {
		src := filepath.Join(tmp, "src")
		if err := copyModule(tmp, src, s.Module+"@"+s.Version); err != nil {
			return err
		}
		pkg := filepath.Join(src, s.Package)
		if s.Edit != nil {
			if err := editFiles(pkg, s.Edit); err != nil {
				return err
			}
		}
		if err := run(pkg, "go", "mod", "tidy"); err != nil {
			return err
		}
		return run(pkg, "go", "test", "-c", "-tags", s.Tags, "-o", filepath.Join(tmp, "tests"), ".")
	})
	return filepath.Join(root, "src", s.Package), filepath.Join(root, "tests")
}

// copyModule puts a writable copy of a Go module into to.
func copyModule(dir, to, module string) error {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go mod download %s: %w: %s", module, err, out)
	}
	var info struct{ Dir string }
	if err := json.Unmarshal(out, &info); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(info.Dir))
}

func editFiles(dir string, edit func(text string) string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(edit(string(text))), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// LibrdkafkaTests returns the built source tree of librdkafka, which the crate
// rdkafka-sys carries; tests/test-runner is in it.
func LibrdkafkaTests(t testing.TB, crateVersion string) string {
	t.Helper()
	for _, program := range []string{"cargo", "g++", "make"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(t, "librdkafka's tests need %s: apt-get install cargo g++ make", program)
		}
	}
	return install(t, "librdkafka-"+strings.ReplaceAll(crateVersion, "+", "-"), func(tmp string) error {
		manifest := fmt.Sprintf("[package]\nname = \"fetch\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nrdkafka-sys = \"=%s\"\n", crateVersion)
		crate := filepath.Join(tmp, "crate")
		if err := os.MkdirAll(filepath.Join(crate, "src"), 0o755); err != nil {
			return err
		}
		for name, text := range map[string]string{"Cargo.toml": manifest, "src/lib.rs": ""} {
			if err := os.WriteFile(filepath.Join(crate, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		if err := run(crate, "cargo", "vendor", "-q", "vendored"); err != nil {
			return err
		}
		if err := os.CopyFS(tmp, os.DirFS(filepath.Join(crate, "vendored", "rdkafka-sys", "librdkafka"))); err != nil {
			return err
		}
		// What the tests need is there without these libraries.
		if err := run(tmp, "bash", "./configure", "--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-zstd"); err != nil {
			return err
		}
		if err := run(tmp, "make", "-j2", "libs"); err != nil {
			return err
		}
		return run(tmp, "make", "-j2", "-C", "tests", "build")
	})
}
