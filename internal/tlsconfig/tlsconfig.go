// Package tlsconfig is the `tls` block that probes, connections and faults have in
// common: which authority to trust, which certificate to show, which name to expect.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/gameday-sh/gameday/experiments"
)

// Block is the `tls` block of a scenario. Its zero value trusts the system's
// authorities and shows no certificate.
type Block struct {
	CAFile             string `hcl:"ca_file,optional" doc:"PEM file with the authorities to trust in place of the system's." example:"certs/ca.pem"`
	CertFile           string `hcl:"cert_file,optional" doc:"PEM file with the certificate to show to the server; needs key_file." example:"certs/client.pem"`
	KeyFile            string `hcl:"key_file,optional" doc:"PEM file with the private key of cert_file." example:"certs/client-key.pem"`
	ServerName         string `hcl:"server_name,optional" doc:"Name expected in the server's certificate, and sent as SNI; without it, the host that is dialled." example:"checkout.internal"`
	InsecureSkipVerify bool   `hcl:"insecure_skip_verify,optional" doc:"Accept any certificate: encrypted, but not authenticated." default:"false"`
}

// Config reads the files of the block. A nil block gives the settings of an empty
// one. Each call returns a value of its own.
func (b *Block) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if b == nil {
		return config, nil
	}
	config.ServerName = b.ServerName
	// A person asked for it by this very name, for a system under test.
	config.InsecureSkipVerify = b.InsecureSkipVerify
	if b.CAFile != "" {
		pool, err := readAuthorities(b.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if b.CertFile != "" || b.KeyFile != "" {
		if _, err := b.readPair(); err != nil {
			return nil, err
		}
		// Read again for each handshake: short-lived certificates are replaced meanwhile.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := b.readPair()
			return &pair, err
		}
	}
	return config, nil
}

// Problems says what is wrong with the block, with the attributes of the block
// around it as "tls.ca_file". It reads the files, so that a wrong path is found
// before anything is touched. A nil block has no problems.
func (b *Block) Problems() []experiments.Problem {
	if b == nil {
		return nil
	}
	var list []experiments.Problem
	if b.CAFile != "" {
		if _, err := readAuthorities(b.CAFile); err != nil {
			list = append(list, experiments.Problem{Attribute: "tls.ca_file", Summary: "Unusable certificate authority", Detail: err.Error()})
		}
	}
	if b.CertFile != "" || b.KeyFile != "" {
		if _, err := b.readPair(); err != nil {
			attribute := "tls.cert_file"
			if b.CertFile == "" {
				attribute = "tls.key_file"
			}
			list = append(list, experiments.Problem{Attribute: attribute, Summary: "Unusable client certificate", Detail: err.Error()})
		}
	}
	return list
}

func readAuthorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorities of ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca_file %s holds no certificate; it must be PEM, with lines \"-----BEGIN CERTIFICATE-----\"", file)
	}
	return pool, nil
}

func (b *Block) readPair() (tls.Certificate, error) {
	switch {
	case b.KeyFile == "":
		return tls.Certificate{}, errors.New("cert_file is set without key_file; a client certificate needs both")
	case b.CertFile == "":
		return tls.Certificate{}, errors.New("key_file is set without cert_file; a client certificate needs both")
	}
	pair, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot use cert_file %s with key_file %s: %w", b.CertFile, b.KeyFile, err)
	}
	return pair, nil
}
