package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

// An issuer that answers nobody, under as many addresses as its tenants like, takes
// the slots of its own entry and nobody else's.
func TestHangingIssuerLeavesOthersTheirKeys(t *testing.T) {
	ring := newKeyring([]AllowedIssuer{{URL: "https://hangs.example/"}, {URL: "https://works.example/"}}, 0, time.Now, slog.New(slog.DiscardHandler))
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	ring.get = func(_ context.Context, _ AllowedIssuer, from string) ([]byte, error) {
		if strings.HasPrefix(from, "https://hangs.example/") {
			<-forever
		}
		return []byte(`{"keys":[]}`), nil
	}
	for i := range 4 * maxFetches {
		s, err := ring.source(tenancy.Issuer{URL: fmt.Sprint("https://hangs.example/", i), JWKSURL: fmt.Sprint("https://hangs.example/keys/", i)})
		if err != nil {
			t.Fatal(err)
		}
		s.fetch()
	}
	s, err := ring.source(tenancy.Issuer{URL: "https://works.example/", JWKSURL: "https://works.example/keys"})
	if err != nil {
		t.Fatal(err)
	}
	if s.fresh() == nil {
		t.Errorf("no keys of the other issuer within %s", keyPatience)
	}
}
