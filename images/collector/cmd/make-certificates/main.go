// Command make-certificates issues a certificate for names, signed by a certificate authority (CA) of its own.
//
//	make-certificates FOLDER NAME...
//
// The CA (ca.pem, ca-key.pem) is created once and kept, so that clients that trust it need no change; each run issues a
// new certificate (server.pem, server-key.pem). Certificates can be read by everyone, keys only by their owner.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	day             = 24 * time.Hour
	authorityDays   = 3650
	certificateDays = 400
	// Clients' clocks may be behind.
	backdated = time.Hour
)

func main() {
	if len(os.Args) < 3 {
		stop(fmt.Errorf("usage: make-certificates FOLDER NAME..."))
	}
	folder, names := os.Args[1], os.Args[2:]
	authority, err := load(folder)
	if err != nil {
		authority, err = create(folder)
	}
	if err == nil {
		err = issue(folder, authority, names)
	}
	if err != nil {
		stop(err)
	}
	fmt.Printf("make-certificates: a certificate for %v, valid for %d days\n", names, certificateDays)
}

// load returns the CA in the folder, if it is valid for longer than what it is to sign.
func load(folder string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "ca.pem"), filepath.Join(folder, "ca-key.pem"))
	if err != nil {
		return pair, err
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return pair, err
	}
	if time.Until(pair.Leaf.NotAfter) < certificateDays*day {
		return pair, fmt.Errorf("the CA expires too soon")
	}
	return pair, nil
}

func create(folder string) (tls.Certificate, error) {
	template := fresh("letta-platform telemetry", authorityDays)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := write(folder, "ca", der, key); err != nil {
		return tls.Certificate{}, err
	}
	return load(folder)
}

func issue(folder string, authority tls.Certificate, names []string) error {
	template := fresh(names[0], certificateDays)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		return err
	}
	return write(folder, "server", der, key)
}

func fresh(name string, days int) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		stop(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-backdated),
		NotAfter:     now.Add(time.Duration(days) * day),
	}
}

// write replaces key and certificate, each atomically: a reader gets the old or the new file.
func write(folder, name string, der []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name, kind string
		content    []byte
		mode       os.FileMode
	}{
		{name + "-key.pem", "PRIVATE KEY", secret, 0o400},
		{name + ".pem", "CERTIFICATE", der, 0o444},
	} {
		path := filepath.Join(folder, file.name)
		text := pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.content})
		if err := os.WriteFile(path+".new", text, file.mode); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

func stop(err error) {
	fmt.Fprintln(os.Stderr, "make-certificates:", err)
	os.Exit(1)
}
