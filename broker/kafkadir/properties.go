package kafkadir

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

const propertiesName = "meta.properties"

// Properties is the content of meta.properties, version 1.
type Properties struct {
	ClusterID   string
	NodeID      int32
	DirectoryID UUID
	// Other are the keys that Kafka's file does not have.
	Other map[string]string
}

// ReadProperties reads meta.properties of a log directory.
func ReadProperties(fsys vfs.FS, logDir string) (*Properties, error) {
	name := filepath.Join(logDir, propertiesName)
	content, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	p, err := parseProperties(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func parseProperties(content []byte) (*Properties, error) {
	p := &Properties{NodeID: -1, Other: map[string]string{}}
	version, node := "", ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		switch key, value := strings.TrimSpace(key), strings.TrimSpace(value); key {
		case "version":
			version = value
		case "cluster.id":
			p.ClusterID = value
		case "node.id":
			node = value
		case "directory.id":
			id, err := ParseUUID(value)
			if err != nil {
				return nil, fmt.Errorf("directory.id: %w", err)
			}
			p.DirectoryID = id
		default:
			p.Other[key] = value
		}
	}
	if version != "1" {
		return nil, fmt.Errorf("version is %q: only version 1, as Apache Kafka writes it in KRaft mode, is known", version)
	}
	id, err := strconv.ParseInt(node, 10, 32)
	if err != nil || id < 0 {
		return nil, fmt.Errorf("node.id is %q", node)
	}
	p.NodeID = int32(id)
	if p.ClusterID == "" {
		return nil, fmt.Errorf("there is no cluster.id")
	}
	return p, nil
}

// Write makes meta.properties in a log directory, whole or not at all.
func (p *Properties) Write(fsys vfs.FS, logDir string) error {
	content := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", p.ClusterID, p.NodeID, p.DirectoryID)
	return vfs.WriteFile(fsys, filepath.Join(logDir, propertiesName), []byte(content))
}
