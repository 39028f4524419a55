package main

import (
	"bytes"
	"strings"
	"testing"
)

// What others have written, comments above all, cannot speak to the terminal, nor
// make up rows and columns.
func TestTablesAreText(t *testing.T) {
	var out bytes.Buffer
	hostile := "a\x1b[2J\x1b]0;title\a\u009b31m\u202e\tb\nkey-of-nobody"
	if err := printTable(&out, []string{"KEY", "COMMENT"}, [][]string{{"k", hostile}}); err != nil {
		t.Fatal(err)
	}
	if err := printFields(&out, [][2]string{{"comment", hostile}}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\a\t\u009b\u202e") || strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}
