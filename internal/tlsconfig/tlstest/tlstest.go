// Package tlstest makes certificates for tests that speak TLS over loopback.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a certificate authority with the certificates it has signed, on disk.
type Authority struct {
	CAFile string
	// CertFile and KeyFile are a client's certificate.
	CertFile, KeyFile string
	// Pool trusts the authority.
	Pool *x509.CertPool
	// Server is a certificate for 127.0.0.1 and checkout.internal.
	Server tls.Certificate
}

// New makes an authority, a server's and a client's certificate in a folder of the test.
func New(t testing.TB) *Authority {
	t.Helper()
	folder := t.TempDir()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := sign(t, template, template, key, key)
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{CAFile: filepath.Join(folder, "ca.pem"), Pool: x509.NewCertPool()}
	a.Pool.AddCert(root)
	write(t, a.CAFile, "CERTIFICATE", der)

	leaf := func(serial int64, name string, usage x509.ExtKeyUsage) (certFile, keyFile string) {
		leafKey := newKey(t)
		leafDER := sign(t, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"checkout.internal"},
		}, root, leafKey, key)
		keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
		if err != nil {
			t.Fatal(err)
		}
		certFile, keyFile = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+"-key.pem")
		write(t, certFile, "CERTIFICATE", leafDER)
		write(t, keyFile, "PRIVATE KEY", keyDER)
		return certFile, keyFile
	}
	serverCert, serverKey := leaf(2, "server", x509.ExtKeyUsageServerAuth)
	if a.Server, err = tls.LoadX509KeyPair(serverCert, serverKey); err != nil {
		t.Fatal(err)
	}
	a.CertFile, a.KeyFile = leaf(3, "client", x509.ExtKeyUsageClientAuth)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, leaf, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
