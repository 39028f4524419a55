package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"weir/tenancy"
)

// certificateNames are what rules look at in a certificate. Immutable.
type certificateNames map[string][]string // by tenancy.From...

// namesOf reads a certificate's names. A subject that is empty or cannot be
// written has none: names are only believed whole.
func namesOf(c *x509.Certificate) certificateNames {
	names := certificateNames{tenancy.FromDNS: c.DNSNames, tenancy.FromEmail: c.EmailAddresses}
	if subject, ok := rfc2253(c.RawSubject); ok && subject != "" {
		names[tenancy.FromSubject] = []string{subject}
	}
	if c.Subject.CommonName != "" {
		names[tenancy.FromCommonName] = []string{c.Subject.CommonName}
	}
	for _, u := range c.URIs {
		names[tenancy.FromURI] = append(names[tenancy.FromURI], u.String())
	}
	return names
}

// attributeValue is one part of a distinguished name (X.501 9.2).
type attributeValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeNameSET is a set by its name, for encoding/asn1.
type relativeNameSET []attributeValue

// rfc2253 writes a distinguished name as Java's X500Principal.getName() does,
// which is what Kafka's DefaultKafkaPrincipalBuilder takes: the last part first,
// several values of one part in the order of the certificate, # and hex for what
// has no name in RFC 2253 or is no string (sun.security.x509.AVA.toRFC2253String).
// ok is false for what is no such name, or has characters that Java cannot tell
// from others.
func rfc2253(der []byte) (name string, ok bool) {
	var parts []relativeNameSET
	if rest, err := asn1.Unmarshal(der, &parts); err != nil || len(rest) > 0 {
		return "", false
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		for j, av := range parts[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			if !av.write(&b) {
				return "", false
			}
		}
		if i > 0 {
			b.WriteByte(',')
		}
	}
	return b.String(), true
}

// keyword is the name that RFC 2253 has for a type of attribute, "" if it has none.
func keyword(oid asn1.ObjectIdentifier) string {
	switch oid.String() {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "STREET"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	}
	return ""
}

func (av attributeValue) write(b *strings.Builder) bool {
	word := keyword(av.Type)
	if word == "" || !isText(av.Value) {
		if word == "" {
			word = av.Type.String()
		}
		b.WriteString(word + "=#" + hex.EncodeToString(av.Value.FullBytes))
		return true
	}
	text := av.Value.Bytes
	if !utf8.Valid(text) { // Latin-1 in a T61String, say
		return false
	}
	b.WriteString(word)
	b.WriteByte('=')
	padding := func(r rune) bool { return r == ' ' || r == '\r' }
	first := len(text) - len(bytes.TrimLeftFunc(text, padding))
	last := len(bytes.TrimRightFunc(text, padding))
	for i := range text {
		switch c := text[i]; {
		case c == 0:
			b.WriteString(`\00`)
			continue
		case i < first, i >= last, bytes.IndexByte([]byte(`,=+<>#;"\`), c) >= 0:
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return true
}

// isText reports whether Java reads a value as a string (AVA.isDerString).
func isText(v asn1.RawValue) bool {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String, asn1.TagGeneralString, asn1.TagBMPString:
		return true
	}
	return false
}
