package tenancy

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestSealer(t *testing.T) {
	t.Parallel()
	old, fresh := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	before, err := NewSealer(old)
	if err != nil {
		t.Fatal(err)
	}
	sealed := before.Seal("i-a", "host kafka.example.com", []byte("secret"))
	after, err := NewSealer(fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Open("i-a", "host kafka.example.com", sealed); err != nil || string(got) != "secret" {
		t.Errorf("with the new key first: %q, %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	other, _ := NewSealer(fresh)
	for name, open := range map[string]func() ([]byte, error){
		"another instance": func() ([]byte, error) { return after.Open("i-b", "host kafka.example.com", sealed) },
		"another place":    func() ([]byte, error) { return after.Open("i-a", "host kafka.example.org", sealed) },
		"a flipped bit":    func() ([]byte, error) { return after.Open("i-a", "host kafka.example.com", flipped) },
		"cut":              func() ([]byte, error) { return after.Open("i-a", "host kafka.example.com", sealed[:5]) },
		"without its key":  func() ([]byte, error) { return other.Open("i-a", "host kafka.example.com", sealed) },
	} {
		if got, err := open(); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if again := before.Seal("i-a", "host kafka.example.com", []byte("secret")); bytes.Equal(again, sealed) {
		t.Error("the same bytes twice")
	}
	if text := fmt.Sprintf("%v %+v %#v", sealed, Host{Key: sealed}, Identity{Password: sealed}); bytes.Contains([]byte(text), []byte("115")) {
		t.Errorf("printed: %s", text)
	}
	if _, err := NewSealer([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}
