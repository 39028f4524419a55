package export

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
)

// chunk is how much is written at a time.
const chunk = 64 << 10

// Made is what is known of a file once it was made.
type Made struct {
	Name   string
	Rows   int64
	Bytes  int64
	SHA256 string // hex
	// Sums are those of the meters, of usage; without the breakdown, which is the same
	// once more.
	Sums map[string]string
	// Costs are the sums of what is billed, of charges, by currency.
	Costs map[string]string
}

// Write makes a file of an export that Plan let through, and writes its bytes from the
// offset on; of the whole it says what Made has. What w fails with is returned.
func (x *Exporter) Write(ctx context.Context, s Spec, f File, w io.Writer, offset int64) (Made, error) {
	out := &tally{w: &skipper{w: w, left: offset}, sum: sha256.New()}
	buffer := bufio.NewWriterSize(out, chunk)
	made, err := x.encode(ctx, s, f, buffer)
	if err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		return Made{}, fmt.Errorf("export file %s: %w", f.Name, err)
	}
	made.Name, made.Bytes, made.SHA256 = f.Name, out.n, hex.EncodeToString(out.sum.Sum(nil))
	x.remember(f, made)
	return made, nil
}

// Made says what is known of a file; it is made for that if nobody has lately.
func (x *Exporter) Made(ctx context.Context, s Spec, f File) (Made, error) {
	if m, ok := x.recall(f); ok {
		return m, nil
	}
	return x.Write(ctx, s, f, io.Discard, 0)
}

func (x *Exporter) encode(ctx context.Context, s Spec, f File, w io.Writer) (Made, error) {
	k := s.Format.kind()
	if k.usage == nil {
		return x.charges(ctx, s, f, w)
	}
	var made Made
	var sums Sums
	enc, err := k.usage(w)
	if err != nil {
		return made, err
	}
	for r, err := range x.cfg.Records.Records(ctx, metering.Query{
		Tenant: s.Tenant, Instance: s.Instance, From: f.From, To: f.To, AsOf: s.AsOf, Parts: s.Names,
	}) {
		if err != nil {
			return made, err
		}
		if err := enc.add(&r); err != nil {
			return made, err
		}
		made.Rows++
		if r.Part == "" {
			sums.Add(&r.Values)
		}
	}
	made.Sums = sums.Map()
	return made, enc.close()
}

// tally counts and hashes what goes through it.
type tally struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	_, _ = t.sum.Write(p) // never fails
	return t.w.Write(p)
}

// skipper drops what comes first.
type skipper struct {
	w    io.Writer
	left int64
}

func (s *skipper) Write(p []byte) (int, error) {
	n := min(s.left, int64(len(p)))
	s.left -= n
	if n == int64(len(p)) {
		return len(p), nil
	}
	m, err := s.w.Write(p[n:])
	return int(n) + m, err
}

// money adds up amounts by currency, exactly.
type money map[string]*apd.Decimal

func (m money) add(currency string, d *apd.Decimal) error {
	if m[currency] == nil {
		m[currency] = new(apd.Decimal)
	}
	if _, err := exactly().Add(m[currency], m[currency], d); err != nil {
		return fmt.Errorf("adding %s: %w", d, err)
	}
	return nil
}

// exactly is arithmetic that fails rather than rounds. 200 digits are more than any
// product of a quantity and a price has.
func exactly() *apd.Context {
	c := apd.BaseContext.WithPrecision(200)
	c.Traps |= apd.Inexact | apd.Rounded
	return c
}

var errNoCharges = errors.New("nothing has prices")
