package main

import (
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
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
	say(tw, "%s\n", strings.Join(header, "\t"))
	for _, r := range rows {
		say(tw, "%s\n", strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// printFields writes one name and value a line.
func printFields(w io.Writer, fields [][2]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		say(tw, "%s\t%s\n", f[0], f[1])
	}
	return tw.Flush()
}
