package tenancy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// minSealKey is how long a key given to NewSealer must be, in bytes.
const minSealKey = 32

// ErrSeal is of what cannot be opened: another key, another place, or damaged.
var ErrSeal = errors.New("cannot open a sealed secret")

// Sealed is a secret as it lies in Redis: the key's id, nonce and ciphertext
// (AES-256-GCM). It opens only under a key of the gateways, and only in the
// place that it was sealed for.
type Sealed []byte

// String says nothing.
func (s Sealed) String() string { return "sealed" }

// GoString is String for %#v.
func (s Sealed) GoString() string { return s.String() }

// Sealer seals what gateways must be able to read again. Any goroutine.
type Sealer struct {
	ids   []string // the first seals
	boxes map[string]cipher.AEAD
}

// sealIDBytes is how many bytes of its hash name a key.
const sealIDBytes = 4

// NewSealer takes the gateways' keys, of at least 32 bytes each. The first seals,
// all open: to change the key, put the new one first and keep the old.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key to seal with")
	}
	s := &Sealer{boxes: make(map[string]cipher.AEAD, len(keys))}
	for i, key := range keys {
		if len(key) < minSealKey {
			return nil, fmt.Errorf("seal key %d has %d bytes, at least %d are needed", i+1, len(key), minSealKey)
		}
		derived, err := hkdf.Key(sha256.New, key, nil, "weir seal v1", 32+sealIDBytes)
		if err != nil {
			return nil, fmt.Errorf("seal key %d: %w", i+1, err)
		}
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			return nil, fmt.Errorf("seal key %d: %w", i+1, err)
		}
		box, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("seal key %d: %w", i+1, err)
		}
		id := hex.EncodeToString(derived[32:])
		s.ids = append(s.ids, id)
		s.boxes[id] = box
	}
	return s, nil
}

// Seal seals a secret of one instance for one place, such as "host
// kafka.example.com": nobody who can write to Redis can move it elsewhere.
func (s *Sealer) Seal(id InstanceID, place string, secret []byte) Sealed {
	key := s.ids[0]
	return s.boxes[key].Seal([]byte(key), nil, secret, sealedFor(key, id, place)) //nolint:gosec // it draws its own nonce
}

// Open returns the secret; the error wraps ErrSeal.
func (s *Sealer) Open(id InstanceID, place string, sealed Sealed) ([]byte, error) {
	const idLen = 2 * sealIDBytes
	if len(sealed) < idLen {
		return nil, fmt.Errorf("%w: %s of instance %s is %d bytes", ErrSeal, place, id, len(sealed))
	}
	key := string(sealed[:idLen])
	box, ok := s.boxes[key]
	if !ok {
		return nil, fmt.Errorf("%w: %s of instance %s was sealed with another key", ErrSeal, place, id)
	}
	secret, err := box.Open(nil, nil, sealed[idLen:], sealedFor(key, id, place))
	if err != nil {
		return nil, fmt.Errorf("%w: %s of instance %s is not what was sealed there", ErrSeal, place, id)
	}
	return secret, nil
}

// sealedFor is the data that is authenticated with a secret (S31).
func sealedFor(key string, id InstanceID, place string) []byte {
	return []byte(key + "\x00" + string(id) + "\x00" + place)
}
