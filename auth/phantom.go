package auth

import (
	"crypto/sha512"
	"math/big"

	"weir/tenancy"
)

// form is what a server's first SCRAM message shows of a credential: the kind of
// salt and the iterations.
//
// A credential that was made over Kafka's protocol (KIP-554) has the form that
// its maker gave it, so phantoms cannot all look like the ones that we make: a
// salt of 24 bytes would prove that its user exists. Nor can they look like
// their neighbours without telling which instances there are. Hence a phantom
// takes one of the forms that are common, by a keyed hash of its name: for half
// of all names the one of our own credentials, for both mechanisms; for the
// others any of the table's, for each mechanism apart, since a user may have a
// credential of one maker for one mechanism and of another for the other. So no
// form in the table, and no pair of them, proves that a user exists. What is not
// in the table, say 12,000 iterations, does: who wants its users' names kept
// secret leaves iterations and salts to the usual tools, or to us.
type form struct {
	salt       int // bytes; 0: the digits of a random number, as Kafka's ScramFormatter makes them
	iterations int
}

// forms are those of our own credentials and of what the usual makers do when
// they are not told otherwise: kafka-configs and Java's Admin (digits, 4096;
// Kafka's documentation has 8192), kadm (24 bytes), librdkafka (64 bytes).
var forms = [8]form{ //nolint:gochecknoglobals // read-only table
	{saltBytes, iterations},
	{0, 4096},
	{0, 8192},
	{0, 16384},
	{24, 4096},
	{24, 8192},
	{64, 4096},
	{64, 10000},
}

// phantom is the credential of an account that does not exist, for one mechanism
// or for PLAIN: the same on all gateways (they share the pepper), of the form of
// a real one, and matched by no password that anybody could find.
func phantom(pepper []byte, mechanism string, id tenancy.InstanceID, user string) tenancy.Credential {
	if mechanism == Plain {
		return phantomPlain(pepper, id, user)
	}
	draw := keyed(sha512.New, pepper, joined("form", string(id), user))
	shape := forms[0]
	if draw[1]&1 == 1 {
		shape = forms[draw[2]%8]
		if mechanism == ScramSHA512 {
			shape = forms[draw[3]%8]
		}
	}
	part := func(what string) []byte {
		return keyed(newHash(mechanism), pepper, joined(what, mechanism, string(id), user))
	}
	return tenancy.Credential{
		Mechanism:  mechanism,
		Salt:       shape.saltOf(keyed(sha512.New, pepper, joined("salt", mechanism, string(id), user))),
		StoredKey:  part("stored key"),
		ServerKey:  part("server key"),
		Iterations: shape.iterations,
	}
}

// digitBits is how long a number Kafka's ScramFormatter draws for a salt.
const digitBits = 130

// saltOf makes a salt of 64 random bytes. The digits are made for every form, so
// that all names take the same time.
func (f form) saltOf(random []byte) []byte {
	n := new(big.Int).SetBytes(random)
	digits := []byte(n.Rsh(n, uint(8*len(random)-digitBits)).Text(36))
	if f.salt > 0 {
		return random[:f.salt]
	}
	return digits
}
