package peers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Node returns the Node.js program and the folder (NODE_PATH) that holds the given
// npm packages (with versions, "kafkajs@2.2.4").
func Node(t testing.TB, packages ...string) (node, nodePath string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if _, npmErr := exec.LookPath("npm"); errors.Join(err, npmErr) != nil {
		Missing(t, "node and npm are not installed: apt-get install nodejs npm")
	}
	name := "node-" + strings.NewReplacer("@", "-", "/", "-").Replace(strings.Join(packages, "-"))
	root := install(t, name, func(tmp string) error {
		if err := os.WriteFile(filepath.Join(tmp, "package.json"), []byte(`{"private": true}`), 0o644); err != nil {
			return err
		}
		return run(tmp, "npm", append([]string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"}, packages...)...)
	})
	return node, filepath.Join(root, "node_modules")
}
