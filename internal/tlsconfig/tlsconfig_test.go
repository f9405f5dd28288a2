package tlsconfig_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

// shake does a TLS handshake over loopback and returns the client's error, which for
// a refused client certificate comes with the first read.
func shake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if conn.(*tls.Conn).HandshakeContext(t.Context()) == nil {
			_, _ = conn.Write([]byte("x"))
		}
	}()
	defer func() { _ = listener.Close(); <-served }()
	conn, err := (&tls.Dialer{Config: client}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestConfig(t *testing.T) {
	authority, other := tlstest.New(t), tlstest.New(t)
	open := &tls.Config{Certificates: []tls.Certificate{authority.Server}}
	closed := &tls.Config{Certificates: []tls.Certificate{authority.Server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool}
	for _, test := range []struct {
		name   string
		block  *tlsconfig.Block
		server *tls.Config
		want   string // part of the error; empty for none
	}{
		{"a private authority is trusted when named", &tlsconfig.Block{CAFile: authority.CAFile}, open, ""},
		{"a private authority is not trusted by an empty block", &tlsconfig.Block{}, open, "unknown authority"},
		{"no block is as an empty one", nil, open, "unknown authority"},
		{"another authority of the same name is not trusted", &tlsconfig.Block{CAFile: other.CAFile}, open, "certificate"},
		{"the server name replaces the address", &tlsconfig.Block{CAFile: authority.CAFile, ServerName: "checkout.internal"}, open, ""},
		{"a wrong server name is refused", &tlsconfig.Block{CAFile: authority.CAFile, ServerName: "payments.internal"}, open, "not payments.internal"},
		{"insecure_skip_verify takes anything", &tlsconfig.Block{InsecureSkipVerify: true}, open, ""},
		{"a client certificate is shown", &tlsconfig.Block{CAFile: authority.CAFile, CertFile: authority.CertFile, KeyFile: authority.KeyFile}, closed, ""},
		{"a server that asks for a certificate refuses a client without", &tlsconfig.Block{CAFile: authority.CAFile}, closed, "certificate required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := test.block.Config()
			if err != nil {
				t.Fatal(err)
			}
			err = shake(t, config, test.server)
			if test.want == "" && err != nil {
				t.Errorf("handshake failed: %v", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("handshake gave %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	authority := tlstest.New(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		block     *tlsconfig.Block
		attribute string // of the one problem; empty for none
		detail    string
	}{
		{"no block is fine", nil, "", ""},
		{"an empty block is fine", &tlsconfig.Block{}, "", ""},
		{"files that exist are fine", &tlsconfig.Block{CAFile: authority.CAFile, CertFile: authority.CertFile, KeyFile: authority.KeyFile}, "", ""},
		{"a missing authority is named", &tlsconfig.Block{CAFile: missing}, "tls.ca_file", missing},
		{"an authority that is no PEM says what it must be", &tlsconfig.Block{CAFile: text}, "tls.ca_file", "BEGIN CERTIFICATE"},
		{"a certificate needs a key", &tlsconfig.Block{CertFile: authority.CertFile}, "tls.cert_file", "without key_file"},
		{"a key needs a certificate", &tlsconfig.Block{KeyFile: authority.KeyFile}, "tls.key_file", "without cert_file"},
		{"a key must fit its certificate", &tlsconfig.Block{CertFile: authority.CertFile, KeyFile: tlstest.New(t).KeyFile}, "tls.cert_file", "private key does not match"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems := test.block.Problems()
			_, err := test.block.Config()
			if test.attribute == "" {
				if len(problems) != 0 || err != nil {
					t.Errorf("problems %v, error %v; want none", problems, err)
				}
				return
			}
			if len(problems) != 1 || problems[0].Attribute != test.attribute || !strings.Contains(problems[0].Detail, test.detail) {
				t.Errorf("problems = %+v, want one of %s with %q", problems, test.attribute, test.detail)
			}
			if err == nil || !strings.Contains(err.Error(), test.detail) {
				t.Errorf("Config gave %v, want the same as the problem", err)
			}
		})
	}
}

func TestConfigIsAValueOfItsOwn(t *testing.T) {
	block := &tlsconfig.Block{ServerName: "a"}
	first, err := block.Config()
	if err != nil {
		t.Fatal(err)
	}
	first.ServerName = "changed"
	second, err := block.Config()
	if err != nil {
		t.Fatal(err)
	}
	if second.ServerName != "a" {
		t.Errorf("a change to one configuration reached the next: %q", second.ServerName)
	}
	if second.MinVersion < tls.VersionTLS12 {
		t.Errorf("TLS versions from %x are allowed, want 1.2 and later", second.MinVersion)
	}
}
