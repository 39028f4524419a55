package export

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"time"

	"weir/metering"
)

// eventType is what kind of event a sealed record is; a change of its data that a
// reader must know of gets another.
const eventType = "weir.usage.hour.v1"

// events writes a CloudEvent 1.0 (JSON format) a line. Numbers are texts, because a
// reader may have nothing better than a float for a number.
type events struct {
	w    io.Writer
	line []byte
}

func newEvents(w io.Writer) (encoder, error) { return &events{w: w}, nil }

func (e *events) add(r *metering.Record) error {
	e.line = appendEvent(e.line[:0], r)
	_, err := e.w.Write(e.line)
	return err
}

func (e *events) close() error { return nil }

func appendEvent(b []byte, r *metering.Record) []byte {
	field := func(name, value string) {
		b = append(append(append(b, '"'), name...), `":`...)
		b = append(appendText(b, value), ',')
	}
	number := func(name string, n int64) {
		b = append(append(append(b, '"'), name...), `":"`...)
		b = append(strconv.AppendInt(b, n, 10), `",`...)
	}
	b = append(b, `{"specversion":"1.0","type":"`+eventType+`",`...)
	field("source", "/cell/"+url.PathEscape(r.Pool))
	field("subject", string(r.Tenant))
	field("id", r.ID())
	field("time", r.Sealed.UTC().Format(time.RFC3339))
	b = append(b, `"datacontenttype":"application/json","data":{`...)
	field("tenant", string(r.Tenant))
	field("instance", string(r.Instance))
	field("plan", r.Plan)
	field("pool", r.Pool)
	if r.Part != "" {
		field("part", r.Part)
	}
	field("start", r.Hour.Begin().Format(time.RFC3339))
	field("end", r.Hour.End().Format(time.RFC3339))
	b = append(strconv.AppendInt(append(b, `"revision":`...), int64(r.Revision), 10), ',')
	b = append(strconv.AppendBool(append(b, `"complete":`...), r.Complete), ',')
	b = append(strconv.AppendInt(append(b, `"gateways":`...), int64(r.Gateways), 10), ',')
	b = append(b, `"meters":{`...)
	for m, n := range r.Values {
		number(metering.Meter(m).String(), n)
	}
	b = append(b[:len(b)-1], `},`...)
	number("number", r.Number)
	b = append(b, `"prev_hash":"`...)
	b = hex.AppendEncode(b, r.Prev[:])
	return append(b, "\"}}\n"...)
}

// appendText appends s as JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string always has a form
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// gzipped is events, compressed.
type gzipped struct {
	events
	z *gzip.Writer
}

func newGzipEvents(w io.Writer) (encoder, error) {
	z := gzip.NewWriter(w) // without a time or a name in its header: the same bytes each time
	return &gzipped{events{w: z}, z}, nil
}

func (g *gzipped) close() error { return g.z.Close() }
