package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// RdkafkaPerformance returns the binary of librdkafka's load program, built from the sources
// that [LibrdkafkaTests] builds.
func RdkafkaPerformance(t testing.TB, crateVersion string) string {
	t.Helper()
	const program = "rdkafka_performance"
	source := LibrdkafkaTests(t, crateVersion)
	dir := install(t, program+"-"+strings.ReplaceAll(crateVersion, "+", "-"), func(tmp string) error {
		tree := filepath.Join(tmp, "source")
		if err := os.CopyFS(tree, os.DirFS(source)); err != nil {
			return err
		}
		if err := run(tree, "make", "-C", "examples", program); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tree, "examples", program), filepath.Join(tmp, program)); err != nil {
			return err
		}
		return os.RemoveAll(tree)
	})
	return filepath.Join(dir, program)
}
