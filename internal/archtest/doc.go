// Package archtest holds the import table of design.md section 3 as data. It
// has nothing but its test.
package archtest
