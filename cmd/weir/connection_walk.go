package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
)

// dns resolves the first bootstrap server.
func (w *walk) dns(ctx context.Context) (string, error) {
	if _, err := netip.ParseAddr(w.host); err == nil {
		return w.host + " is an address", nil
	}
	found, err := net.DefaultResolver.LookupHost(ctx, w.host)
	if err != nil {
		return w.host, w.failed("dns-not-found", fmt.Sprintf("the name %s cannot be resolved: %s", w.host, shortDNS(err)), err)
	}
	return w.host + " -> " + strings.Join(found, ", "), nil
}

func shortDNS(err error) string {
	var e *net.DNSError
	if errors.As(err, &e) {
		return e.Err
	}
	return err.Error()
}

// failed is a failure of the way to the gateway: the instance's own addresses help.
func (w *walk) failed(code, message string, err error) error {
	f := &failure{code: code, message: message, exit: exitFailed, err: err}
	if w.instance.Instance != "" {
		f.try = []string{"weir instance get " + w.instance.typed() + "      shows its addresses"}
	}
	return f
}

// tcp connects.
func (w *walk) tcp(ctx context.Context) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return w.addr, w.failed("nothing-listening", "nobody listens at "+w.addr, err)
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		return w.addr, w.failed("tcp-timed-out", w.addr+" does not answer: a firewall or a route is in the way", err)
	case err != nil:
		return w.addr, w.failed("cannot-connect", fmt.Sprintf("%s cannot be reached: %s", w.addr, shortNet(err)), err)
	}
	defer c.Close()
	w.local = host(c.LocalAddr().String())
	return host(c.RemoteAddr().String()) + ", from " + w.local, nil
}

func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}

func shortNet(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// tls shakes hands, and looks at the certificate as any client does.
func (w *walk) tls(ctx context.Context) (string, error) {
	var state tls.ConnectionState
	c, err := w.secure(ctx, w.addr, &state)
	if err == nil {
		defer c.Close()
	}
	text := describeTLS(state)
	var bad *certificateError
	switch {
	case err == nil:
		return text, nil
	case errors.As(err, &bad):
		return text, w.badCertificate(bad.err)
	case cutOff(err):
		return "closed during the handshake", w.cut(ctx, "closed-in-tls", w.addr+" closed the connection during the TLS handshake",
			"the address is in none of the instance's networks, or too many clients connect at once")
	}
	var other tls.RecordHeaderError
	if errors.As(err, &other) {
		return "no TLS", w.notTLS(other)
	}
	return "no handshake", w.failed("tls-failed", fmt.Sprintf("no TLS with %s: %s", w.addr, shortNet(err)), err)
}

// certificateError is what is wrong with the gateway's certificate.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// secure connects and shakes hands. state is filled in as far as it goes.
func (w *walk) secure(ctx context.Context, addr string, state *tls.ConnectionState) (net.Conn, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: strings.Trim(host(addr), "[]")}
	cfg.InsecureSkipVerify = true // VerifyConnection does it, and shows what it has seen
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		*state = s
		if err := w.verify(s, cfg.ServerName); err != nil {
			return &certificateError{err}
		}
		return nil
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (w *walk) verify(s tls.ConnectionState, name string) error {
	opts := x509.VerifyOptions{DNSName: name, Intermediates: x509.NewCertPool()}
	if w.conn.CA != nil {
		opts.Roots = x509.NewCertPool()
		if !opts.Roots.AppendCertsFromPEM(w.conn.CA) {
			return errors.New("the CA of the client file is not a PEM certificate")
		}
	}
	for _, c := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	return err
}

func describeTLS(s tls.ConnectionState) string {
	if len(s.PeerCertificates) == 0 {
		return "no certificate seen"
	}
	cert := s.PeerCertificates[0]
	names := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	text := strings.Join(names[:min(2, len(names))], ", ")
	if len(names) > 2 {
		text += ", ..."
	}
	days := int(time.Until(cert.NotAfter).Hours() / 24)
	return fmt.Sprintf("%s, certificate %s, %d days left", strings.TrimPrefix(tls.VersionName(s.Version), "TLS "), text, days)
}

// badCertificate says what is wrong with the gateway's certificate, and what that
// needs.
func (w *walk) badCertificate(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return w.failed("certificate-unknown", "the client file's CA did not sign the certificate of "+w.addr+": use the CA that `weir instance get` has as ca_pem", err)
	case errors.As(err, &name):
		return w.failed("certificate-name", "the certificate of "+w.addr+" is not for that name: connect by a name that is in it", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return w.failed("certificate-expired", "the certificate of "+w.addr+" has expired, or is not valid yet by this machine's clock", err)
	}
	return w.failed("certificate-invalid", fmt.Sprintf("the certificate of %s is not valid: %s", w.addr, err), err)
}

// notTLS tells what else a port speaks by the first bytes that it sent.
func (w *walk) notTLS(e tls.RecordHeaderError) error {
	if string(e.RecordHeader[:5]) == "HTTP/" {
		return w.failed("http-port", w.addr+" speaks HTTP, not Kafka: it may be the management address", e)
	}
	return w.failed("no-tls", w.addr+" does not speak TLS: set security.protocol=SASL_PLAINTEXT, or use the port that does", e)
}

// cutOff reports whether the other side just closed.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// greet sends the request with which every client begins, so as to see whether
// there is Kafka at all.
func (w *walk) greet(ctx context.Context) error {
	var c net.Conn
	var err error
	if w.conn.TLS {
		c, err = w.secure(ctx, w.addr, &tls.ConnectionState{})
	} else {
		c, err = new(net.Dialer).DialContext(ctx, "tcp", w.addr)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if by, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(by)
	}
	req := kmsg.NewPtrApiVersionsRequest()
	body := req.AppendTo(nil)
	h := wire.RequestHeader{Key: req.Key(), Correlation: 1, ClientID: []byte("weir-cli")}
	if _, err := c.Write(append(wire.AppendRequest(nil, h, len(body)), body...)); err != nil {
		return err
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(c, size); err != nil {
		return err
	}
	if string(size) == "HTTP" {
		return w.failed("http-port", w.addr+" speaks HTTP, not Kafka: it may be the management address", nil)
	}
	return nil
}
