package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/millrace/millrace/configs"
)

// security are the flags that say how the cluster lets clients in. They go before
// what --config says under kafka.
type security struct {
	tls          configs.TLS
	sasl         configs.SASL
	passwordFile string
	// commandConfig is a properties file of Kafka's tools.
	commandConfig string
}

func (s *security) register(fs *pflag.FlagSet) {
	fs.BoolVar(&s.tls.Enabled, "tls", false, "encrypt the connections to the brokers")
	fs.StringVar(&s.tls.CAFile, "tls-ca", "", "PEM `file` of the authorities to trust (default those of the system)")
	fs.StringVar(&s.tls.CertFile, "tls-cert", "", "PEM `file` of the client's own certificate")
	fs.StringVar(&s.tls.KeyFile, "tls-key", "", "PEM `file` of the key of --tls-cert")
	fs.StringVar(&s.tls.ServerName, "tls-server-name", "", "`name` that the brokers' certificates must have, where it is not that of their address")
	fs.StringVar(&s.sasl.Mechanism, "sasl-mechanism", "", "plain, scram-sha-256 or scram-sha-512 (default scram-sha-512 with --sasl-user)")
	fs.StringVar(&s.sasl.Username, "sasl-user", "", "`name` to authenticate with")
	fs.StringVar(&s.commandConfig, "command-config", "", "properties `file` of Apache Kafka's tools that says how brokers are reached: security.protocol, sasl.*, ssl.* with PEM files")
	fs.StringVar(&s.passwordFile, "sasl-password-file", "", "`file` with the password of --sasl-user")
}

// apply changes how a cluster is reached as the flags say.
func (s *security) apply(k *configs.Kafka) error {
	if s.commandConfig != "" {
		c, err := readCommandConfig(s.commandConfig)
		if err != nil {
			return err
		}
		if err := c.apply(k); err != nil {
			return err
		}
	}
	if s.tls != (configs.TLS{}) {
		k.TLS = s.tls
		k.TLS.Enabled = true
	}
	if (k.TLS.CertFile == "") != (k.TLS.KeyFile == "") {
		return usagef("--tls-cert and --tls-key belong together")
	}
	if s.sasl.Username == "" {
		if s.sasl.Mechanism != "" || s.passwordFile != "" {
			return usagef("--sasl-user is missing")
		}
		return nil
	}
	if s.passwordFile == "" {
		return usagef("--sasl-password-file is missing: write the password of %q into a file that only you can read", s.sasl.Username)
	}
	password, err := passwordIn(s.passwordFile, os.Stdin)
	if err != nil {
		return err
	}
	k.SASL = configs.SASL{Mechanism: strings.ToLower(s.sasl.Mechanism), Username: s.sasl.Username, Password: password}
	if k.SASL.Mechanism == "" {
		k.SASL.Mechanism = "scram-sha-512"
	}
	return nil
}

// passwordIn reads the first line of a file, or of stdin for "-".
func passwordIn(name string, stdin io.Reader) (string, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", fmt.Errorf("%s holds no password", name)
	}
	return line, nil
}

// newPassword asks for a password twice, without showing it, or reads it from a file.
func newPassword(file string, stdin io.Reader, stderr io.Writer) (string, error) {
	if file != "" {
		return passwordIn(file, stdin)
	}
	terminal, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", usagef("where is the password? Write --password-file FILE, or - for standard input")
	}
	first, err := ask(terminal, stderr, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask(terminal, stderr, "Again: ")
	switch {
	case err != nil:
		return "", err
	case first == "":
		return "", errors.New("the password is empty")
	case first != second:
		return "", errors.New("the passwords are not the same")
	}
	return first, nil
}

func ask(terminal *os.File, stderr io.Writer, prompt string) (string, error) {
	fmt.Fprint(stderr, prompt)
	b, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(b), nil
}
