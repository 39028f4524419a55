package main

import (
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// printJSON writes v as the REST interface would.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printTable writes plain aligned columns.
func printTable(w io.Writer, header []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	say(tw, "%s\n", row(header))
	for _, r := range rows {
		say(tw, "%s\n", row(r))
	}
	return tw.Flush()
}

// printFields writes one name and value a line.
func printFields(w io.Writer, fields [][2]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		say(tw, "%s\t%s\n", shown(f[0]), shown(f[1]))
	}
	return tw.Flush()
}

// row is one line of a table.
func row(cells []string) string {
	safe := make([]string, len(cells))
	for i, c := range cells {
		safe[i] = shown(c)
	}
	return strings.Join(safe, "\t")
}

// shown is a text as a terminal may have it: many were written by somebody else, who
// must not move the cursor, set colors or turn the direction of writing.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, text)
}
