package export

import (
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"weir/metering"
)

// csvRows writes a record a line, under a line with the columns' names (RFC 4180, with
// line feeds alone).
type csvRows struct {
	w    io.Writer
	line []byte
}

func newCSV(w io.Writer) (encoder, error) {
	columns := []string{
		"id", "tenant", "instance", "plan", "pool", "part", "start", "end",
		"revision", "complete", "gateways", "sealed",
	}
	for m := range metering.Meters {
		columns = append(columns, metering.Meter(m).String())
	}
	columns = append(columns, "number", "prev_hash")
	_, err := io.WriteString(w, strings.Join(columns, ",")+"\n")
	return &csvRows{w: w}, err
}

func (c *csvRows) add(r *metering.Record) error {
	b := c.line[:0]
	for _, text := range []string{r.ID(), string(r.Tenant), string(r.Instance), r.Plan, r.Pool, r.Part} {
		b = append(appendCell(b, text), ',')
	}
	b = append(r.Hour.Begin().AppendFormat(b, time.RFC3339), ',')
	b = append(r.Hour.End().AppendFormat(b, time.RFC3339), ',')
	b = append(strconv.AppendInt(b, int64(r.Revision), 10), ',')
	b = append(strconv.AppendBool(b, r.Complete), ',')
	b = append(strconv.AppendInt(b, int64(r.Gateways), 10), ',')
	b = append(r.Sealed.UTC().AppendFormat(b, time.RFC3339), ',')
	for _, n := range r.Values {
		b = append(strconv.AppendInt(b, n, 10), ',')
	}
	b = append(strconv.AppendInt(b, r.Number, 10), ',')
	b = append(hex.AppendEncode(b, r.Prev[:]), '\n')
	c.line = b
	_, err := c.w.Write(b)
	return err
}

func (c *csvRows) close() error { return nil }

// appendCell appends a text as a cell. One that a spreadsheet would take for a formula
// (OWASP, CSV Injection) gets an apostrophe in front, and so does one that begins with
// an apostrophe, so that taking one away always gives the text back. Numbers are no
// texts: they are never guarded.
func appendCell(b []byte, text string) []byte {
	guard := text != "" && strings.IndexByte("=+-@\t\r\n'", text[0]) >= 0
	// Wide forms of the same signs, which some spreadsheets take for them.
	for _, wide := range []string{"＝", "＋", "－", "＠"} {
		guard = guard || strings.HasPrefix(text, wide)
	}
	quote := strings.ContainsAny(text, ",\"\r\n\t;") || text != strings.TrimSpace(text)
	if quote {
		b = append(b, '"')
	}
	if guard {
		b = append(b, '\'')
	}
	if quote {
		return append(append(b, strings.ReplaceAll(text, `"`, `""`)...), '"')
	}
	return append(b, text...)
}
