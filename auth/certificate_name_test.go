package auth

import (
	"bufio"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestNamesAreThoseOfJava compares with what Java wrote for the same bytes, since
// ACLs that were made for Kafka name users that way.
func TestNamesAreThoseOfJava(t *testing.T) {
	f, err := os.Open("testdata/x500_names.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		raw, quoted, _ := strings.Cut(lines.Text(), "\t")
		der, err1 := hex.DecodeString(raw)
		want, err2 := strconv.Unquote(quoted)
		if err1 != nil || err2 != nil {
			t.Fatal(lines.Text(), err1, err2)
		}
		if got, ok := rfc2253(der); got != want || !ok {
			t.Errorf("%s: %q, %v; want %q", raw, got, ok, want)
		}
		seen++
	}
	if seen < 40 {
		t.Errorf("only %d names", seen)
	}
}

// Names that Java would write with a replacement character, which two different
// ones share, are no names here.
func TestNamesThatAreNone(t *testing.T) {
	for what, der := range map[string]string{
		"empty":             "",
		"not a sequence":    "0c00",
		"cut":               "3010310e300c06035504030c05706c61",
		"rest":              "300000",
		"invalid UTF-8":     "300c310a300806035504030c01ff",
		"Latin-1 in a T61":  "300c310a300806035504031401e9",
		"attribute cut":     "3009310730050603550403",
		"set of a sequence": "30003100",
	} {
		raw, err := hex.DecodeString(der)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := rfc2253(raw); ok {
			t.Errorf("%s: %q", what, name)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("0\x100\x0e0\x0c\x06\x03U\x04\x03\x0c\x05plain"))
	f.Fuzz(func(t *testing.T, der []byte) {
		name, ok := rfc2253(der)
		if !ok && name != "" {
			t.Errorf("%q of what is none", name)
		}
		if len(name) > 40*len(der)+40 {
			t.Errorf("%d bytes of %d", len(name), len(der))
		}
	})
}
