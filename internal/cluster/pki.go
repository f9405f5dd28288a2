package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// pki is a certificate authority and what it signs, as files in a folder.
type pki struct {
	dir string
	ca  *x509.Certificate
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	serial int64
}

const validFor = 10 * 365 * 24 * time.Hour

// newPKI makes an authority and the key that signs service-account tokens.
func newPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	p := &pki{dir: dir, serial: 1}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	p.key = key
	p.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gameday-test-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validFor),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.ca, p.ca, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	tokens, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the key of service accounts: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(tokens.Public())
	if err != nil {
		return nil, fmt.Errorf("make the key of service accounts: %w", err)
	}
	for _, write := range []error{
		p.write("ca.crt", "CERTIFICATE", der),
		p.write("sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(tokens)),
		p.write("sa.pub", "PUBLIC KEY", public),
	} {
		if write != nil {
			return nil, write
		}
	}
	return p, nil
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name, kind string, der []byte) error {
	if err := os.WriteFile(p.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	return nil
}

// issue signs a certificate NAME.crt with its key NAME.key, for servers and clients.
func (p *pki) issue(name, commonName string, organisation []string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make certificate %s: %w", name, err)
	}
	p.mu.Lock()
	p.serial++
	serial := p.serial
	p.mu.Unlock()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: commonName, Organization: organisation},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validFor),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, crypto.PublicKey(key.Public()), p.key)
	if err != nil {
		return fmt.Errorf("make certificate %s: %w", name, err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("make certificate %s: %w", name, err)
	}
	if err := p.write(name+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return p.write(name+".key", "EC PRIVATE KEY", private)
}

// kubeconfig writes NAME.kubeconfig for the certificate NAME.
func (p *pki) kubeconfig(name, server string) (string, error) {
	path := p.path(name + ".kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: gameday-test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: %[3]q, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: gameday-test, context: {cluster: gameday-test, user: %[3]q}}]
current-context: gameday-test
`, server, p.path("ca.crt"), name, p.path(name+".crt"), p.path(name+".key"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}

// kubeconfigWithin is kubeconfig with everything in the one file.
func (p *pki) kubeconfigWithin(name, server string) (string, error) {
	var parts [3]string
	for i, file := range []string{"ca.crt", name + ".crt", name + ".key"} {
		text, err := os.ReadFile(p.path(file))
		if err != nil {
			return "", fmt.Errorf("write the kubeconfig of %s: %w", name, err)
		}
		parts[i] = base64.StdEncoding.EncodeToString(text)
	}
	path := p.path(name + ".kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: gameday-test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: %[3]q, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: gameday-test, context: {cluster: gameday-test, user: %[3]q}}]
current-context: gameday-test
`, server, parts[0], name, parts[1], parts[2])
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
