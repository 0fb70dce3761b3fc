package peers

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is Debian's unprivileged user and group, for a server that refuses
// to run as root.
const nobody = 65534

// ElasticsearchServer is one Elasticsearch node.
type ElasticsearchServer struct {
	*Process
	// URL is its base address.
	URL string
}

// Elasticsearch starts a fresh Elasticsearch node for the test.
func Elasticsearch(t testing.TB) *ElasticsearchServer {
	t.Helper()
	for _, program := range []string{"java", "mvn", "unzip"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(t, "Elasticsearch needs %s: apt-get install default-jdk-headless maven unzip", program)
		}
	}
	home := install(t, "elasticsearch-"+elasticsearchVersion, fetchElasticsearch)
	dir, addr, transport := t.TempDir(), FreeAddr(t), FreeAddr(t)
	if err := configureElasticsearch(home, dir, addr, transport); err != nil {
		t.Fatalf("configure Elasticsearch: %v", err)
	}
	cmd := exec.Command(filepath.Join(home, "bin", "elasticsearch"))
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ES_JAVA_HOME=" + javaHome(t),
		"ES_PATH_CONF=" + filepath.Join(dir, "config"), "ES_TMPDIR=" + filepath.Join(dir, "tmp"),
	}
	if os.Geteuid() == 0 {
		openTo(t, dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	// The process is a launcher; its server ends when the launcher does.
	s := &ElasticsearchServer{URL: "http://" + addr}
	s.Process = start(t, cmd, filepath.Join(dir, "server.log"))
	client := &http.Client{Timeout: 2 * time.Second}
	s.await(t, "Elasticsearch", func() error {
		resp, err := client.Get(s.URL + "/_cluster/health")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	})
	return s
}

func fetchElasticsearch(tmp string) error {
	artifact := "org.elasticsearch.distribution.integ-test-zip:elasticsearch:" + elasticsearchVersion + ":zip"
	if err := run(tmp, "mvn", "-q", "-B", "dependency:copy", "-Dartifact="+artifact, "-DoutputDirectory="+tmp); err != nil {
		return err
	}
	zip := filepath.Join(tmp, "elasticsearch-"+elasticsearchVersion+".zip")
	if err := run(tmp, "unzip", "-q", zip); err != nil {
		return err
	}
	unpacked := filepath.Join(tmp, "elasticsearch-"+elasticsearchVersion)
	entries, err := os.ReadDir(unpacked)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(unpacked, e.Name()), filepath.Join(tmp, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Remove(zip); err != nil {
		return err
	}
	return run(tmp, "sh", "-c", "chmod +x bin/* && chmod -R a+rX .")
}

func configureElasticsearch(home, dir, addr, transport string) error {
	conf := filepath.Join(dir, "config")
	for _, d := range []string{filepath.Join(conf, "jvm.options.d"), filepath.Join(dir, "tmp"), filepath.Join(dir, "logs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := run(dir, "cp", "-r", filepath.Join(home, "config")+"/.", conf); err != nil {
		return err
	}
	// Drop what names the server's own folder: it belongs to nobody else.
	if err := run(conf, "sed", "-i", "-E", "/(gc.log|hs_err|HeapDump)/d", "jvm.options"); err != nil {
		return err
	}
	yml := strings.Join([]string{
		"cluster.name: millrace-test", "node.name: peer", "network.host: 127.0.0.1",
		"http.port: " + addr[strings.LastIndexByte(addr, ':')+1:],
		"transport.port: " + transport[strings.LastIndexByte(transport, ':')+1:],
		"discovery.type: single-node", "xpack.security.enabled: false",
		"path.data: " + filepath.Join(dir, "data"), "path.logs: " + filepath.Join(dir, "logs"),
		"cluster.routing.allocation.disk.threshold_enabled: false",
	}, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(conf, "elasticsearch.yml"), []byte(yml), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(conf, "jvm.options.d", "heap.options"), []byte("-Xms1g\n-Xmx1g\n"), 0o644)
}

// javaHome follows the java program to the folder that it is installed in.
func javaHome(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("java")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatalf("find Java: %v", err)
	}
	return filepath.Dir(filepath.Dir(path))
}

// openTo hands dir to nobody and makes the folders above it passable.
func openTo(t testing.TB, dir string) {
	t.Helper()
	if err := run("/", "chown", "-R", "65534:65534", dir); err != nil {
		t.Fatalf("hand over the folder: %v", err)
	}
	for d := filepath.Dir(dir); d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err == nil && info.Mode().Perm()&0o011 != 0o011 {
			err = os.Chmod(d, info.Mode().Perm()|0o711)
		}
		if err != nil {
			t.Fatalf("make %s passable: %v", d, err)
		}
	}
}
