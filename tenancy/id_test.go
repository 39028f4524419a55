package tenancy

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strings"
	"testing"
)

func TestParseIDs(t *testing.T) {
	tests := []struct{ in, want string }{ // want: part of the error, "" if valid
		{"ab", ""},
		{"demo", ""},
		{"i-7k2m9x4q", ""},
		{"a9", ""},
		{"a--b", ""},
		{strings.Repeat("a", 32), ""},
		{"b1", ""},
		{"b-1", ""},
		{"bb1-x", ""},
		{"b1x-y", ""},
		{"xn-a", ""},
		{"", "has 0 characters: use 2 to 32"},
		{"a", "has 1 characters"},
		{strings.Repeat("a", 33), "has 33 characters"},
		{"1a", `begins with "1"`},
		{"-a", `begins with "-"`},
		{"Ab", `begins with "A"`},
		{"a_b", "character 2 is not one of"},
		{"a.b", "character 2 is not one of"},
		{"a}b", "character 2 is not one of"},
		{"aB", "character 2"},
		{"aä", "character 2"},
		{"a\nb", `"a\nb"`},
		{"a-", "ends with '-'"},
		{"b1-x", "host name of a broker"},
		{"b00123-orders", "host name of a broker"},
		{"xn--a", "international"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			id, err := ParseInstanceID(tt.in)
			checkParse(t, "instance id", string(id), err, tt.in, tt.want)
			tenant, err := ParseTenantID(tt.in)
			checkParse(t, "tenant id", string(tenant), err, tt.in, tt.want)
		})
	}
}

func TestParseUserName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"a", ""},
		{"Alice.B_c-9", ""},
		{"-", ""},
		{strings.Repeat("z", 64), ""},
		{"", "has 0 characters: use 1 to 64"},
		{strings.Repeat("z", 65), "has 65 characters"},
		{"key-", ""},
		{"key-account", ""},
		{"key-abcdefghijklmno", ""},
		{"key-abcdefghijklmno1", ""}, // 1 is no digit of base32
		{"Key-abcdefghijklmnop", ""},
		{"key-abcdefghijkl2567", "reads as the id of an API key"},
		{"a@b", "character 2"},
		{"a b", "character 2"},
		{"é", "character 1"},
		{"a\x00", "character 2"},
	}
	for _, tt := range tests {
		got, err := ParseUserName(tt.in)
		checkParse(t, "user name", got, err, tt.in, tt.want)
	}
}

func TestCheckName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"a", ""},
		{"standard-2", ""},
		{"a-", ""},
		{strings.Repeat("a", 63), ""},
		{"", "plan name"},
		{strings.Repeat("a", 64), "use 1 to 63"},
		{"2a", "begins with"},
		{"a_", "character 2"},
		{"a.b", "character 2"},
	}
	for _, tt := range tests {
		checkParse(t, "plan name", tt.in, CheckName("plan name", tt.in), tt.in, tt.want)
	}
}

func checkParse(t *testing.T, what, got string, err error, in, want string) {
	t.Helper()
	switch {
	case want == "" && (err != nil || got != in):
		t.Errorf("%s %q: got %q, %v", what, in, got, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), what)):
		t.Errorf("%s %q: error is %v, want one of %q with %q", what, in, err, what, want)
	case err != nil && strings.Contains(err.Error(), "\n"):
		t.Errorf("%s %q: error has several lines", what, in)
	}
}

func TestNewInstanceID(t *testing.T) {
	seen := map[InstanceID]bool{}
	for range 1000 {
		id, err := NewInstanceID(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseInstanceID(string(id)); err != nil || len(id) != 10 || seen[id] {
			t.Errorf("drew %q (%v), seen before: %t", id, err, seen[id])
		}
		seen[id] = true
	}
	if _, err := NewInstanceID(bytes.NewReader([]byte{1, 2})); err == nil {
		t.Error("no error without enough random bytes")
	}
}

func TestNewClusterID(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{21}$`)
	for first := range 256 {
		b := bytes.Repeat([]byte{0xf8}, 16)
		b[0] = byte(first)
		id, err := NewClusterID(bytes.NewReader(b))
		if err != nil || !valid.MatchString(id) {
			t.Errorf("from first byte %#x: %q, %v", first, id, err)
		}
	}
	if _, err := NewClusterID(bytes.NewReader(nil)); err == nil {
		t.Error("no error without random bytes")
	}
}
