package auth

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/tenancy"
)

// Verdict is what client CAs make of a certificate.
type Verdict struct {
	User string
	CA   string // name of the client CA
	Rule int    // of the client CA, from 1 on; 0: it has none

	Why    Reason // the certificate is not believed; "" if it is
	Detail string // for who asks in the instance's name: it shows names in the certificate
}

// JudgeCertificate says whom a chain, leaf first, makes of who has its key.
func JudgeCertificate(all []tenancy.ClientCA, shown []*x509.Certificate, now time.Time) Verdict {
	cas := compileClientCAs(all)
	c, err := cas.verify(shown, now)
	if err != nil {
		return Verdict{Why: err.why, Detail: err.err.Error()}
	}
	m, why := c.match(cas)
	if why == "" {
		return Verdict{User: m.user, CA: m.ca, Rule: m.rule}
	}
	if why == ReasonCertificateRevoked {
		return Verdict{Why: why, Detail: "it, or one between it and the client CA, is on a list of revoked certificates"}
	}
	return Verdict{Why: why, Detail: "no rule makes a user of its names: " + c.names.String()}
}

// String lists the names by kind.
func (n certificateNames) String() string {
	var kinds []string
	for kind, names := range n {
		if len(names) > 0 {
			kinds = append(kinds, fmt.Sprintf("%s %.249q", kind, names[:min(len(names), 8)]))
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, ", ")
}
