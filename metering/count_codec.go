package metering

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/tenancy"
)

// A count in Redis is one field of the hash of its instance and hour:
//
//	<gateway>/<epoch>/<part of source> <plan>[ <part of breakdown>]  ->  <seq> <final 0|1> <tenant> <pool> <v0>,<v1>,…
//
// The part of the breakdown stands last, for names of users may hold anything. Meters
// at the end that are zero are left out: what an older gateway wrote reads as if the
// newer meters were zero.

// maxSeq is the greatest sequence: numbers in Redis's scripts are exact up to it.
const maxSeq = 1<<53 - 1

// start is "gateway/epoch": one start of a gateway, as in keys.
func (s Source) start() string { return s.Gateway + "/" + strconv.FormatInt(s.Epoch, 10) }

// field is the count's name in its hash.
func (c *Count) field() string {
	b := make([]byte, 0, 128)
	b = append(b, c.Gateway...)
	b = strconv.AppendInt(append(b, '/'), c.Epoch, 10)
	b = strconv.AppendInt(append(b, '/'), c.Source.Part, 10)
	b = append(append(b, ' '), c.Plan...)
	if c.Line.Part != "" {
		b = append(append(b, ' '), c.Line.Part...)
	}
	return string(b)
}

// value is what the field says.
func (c *Count) value() string {
	b := make([]byte, 0, 192)
	b = strconv.AppendInt(b, c.Seq, 10)
	if c.Final {
		b = append(b, " 1 "...)
	} else {
		b = append(b, " 0 "...)
	}
	b = append(append(b, c.Tenant...), ' ')
	b = append(append(b, c.Pool...), ' ')
	last := Meters - 1
	for last > 0 && c.Values[last] == 0 {
		last--
	}
	for m := range last + 1 {
		if m > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, c.Values[m], 10)
	}
	return string(b)
}

// check says what cannot be kept: it would be read as something else.
func (c *Count) check() error {
	switch {
	case c.Gateway == "" || strings.ContainsAny(c.Gateway, "/ "):
		return fmt.Errorf("count of instance %s: gateway %.80q must be a word without '/'", c.Instance, c.Gateway)
	case strings.Contains(c.Plan, " ") || strings.Contains(string(c.Tenant), " ") || strings.Contains(c.Pool, " "):
		return fmt.Errorf("count of instance %s: plan %.80q, tenant %.80q or pool %.80q has a space", c.Instance, c.Plan, c.Tenant, c.Pool)
	case strings.ContainsAny(string(c.Instance), "{} ") || c.Instance == "":
		return fmt.Errorf("count of instance %.80q: that is no instance id", c.Instance)
	case c.Seq < 1 || c.Seq > maxSeq:
		return fmt.Errorf("count of instance %s: sequence %d is not within 1 to %d", c.Instance, c.Seq, int64(maxSeq))
	}
	return nil
}

// errNewer: a newer gateway wrote it, with more meters than are known here. It must not be
// sealed by who cannot count it.
var errNewer = errors.New("a newer version of weir counts more: update this gateway")

// readCounts reads the hash of an instance and hour. damaged says of each field that is no
// count why not: it must not keep the others from being sealed. err is errNewer.
func readCounts(instance tenancy.InstanceID, hour Hour, fields map[string]string) (counts []Count, damaged []error, err error) {
	counts = make([]Count, 0, len(fields))
	for field, value := range fields {
		c, err := parseCount(instance, hour, field, value)
		switch {
		case errors.Is(err, errNewer):
			return nil, nil, err
		case err != nil:
			damaged = append(damaged, err)
		default:
			counts = append(counts, c)
		}
	}
	return counts, damaged, nil
}

// parseCount reads a field of the hash of an instance and hour.
func parseCount(instance tenancy.InstanceID, hour Hour, field, value string) (Count, error) {
	c := Count{Line: Line{Hour: hour, Instance: instance}}
	if err := c.parseField(field); err != nil {
		return Count{}, fmt.Errorf("usage of instance %s in hour %s: field %.120q: %w", instance, hour, field, err)
	}
	if err := c.parseValue(value); err != nil {
		return Count{}, fmt.Errorf("usage of instance %s in hour %s: field %.120q says %.200q: %w", instance, hour, field, value, err)
	}
	return c, nil
}

func (c *Count) parseField(field string) (err error) {
	source, line, ok := strings.Cut(field, " ")
	parts := strings.Split(source, "/")
	if !ok || len(parts) != 3 || parts[0] == "" {
		return fmt.Errorf("is not like gateway/epoch/part plan")
	}
	c.Gateway = parts[0]
	if c.Epoch, err = parseWhole(parts[1]); err != nil {
		return err
	}
	if c.Source.Part, err = parseWhole(parts[2]); err != nil {
		return err
	}
	c.Plan, c.Line.Part, _ = strings.Cut(line, " ")
	return nil
}

func (c *Count) parseValue(value string) (err error) {
	words := strings.SplitN(value, " ", 6)
	if len(words) == 6 {
		if err := c.parseValue(strings.Join(words[:5], " ")); err != nil {
			return err
		}
		return fmt.Errorf("has more than is known: %w", errNewer)
	}
	if len(words) != 5 || words[1] != "0" && words[1] != "1" {
		return fmt.Errorf("is not like seq 0|1 tenant pool v0,v1")
	}
	if c.Seq, err = parseWhole(words[0]); err != nil {
		return err
	}
	c.Final = words[1] == "1"
	c.Tenant, c.Pool = tenancy.TenantID(words[2]), words[3]
	numbers := strings.Split(words[4], ",")
	if len(numbers) > Meters {
		for _, n := range numbers {
			if _, err := parseWhole(n); err != nil {
				return err
			}
		}
		return fmt.Errorf("has %d meters, of which %d are known: %w", len(numbers), Meters, errNewer)
	}
	for m, n := range numbers {
		if c.Values[m], err = parseWhole(n); err != nil {
			return err
		}
	}
	return nil
}

// parseWhole reads what strconv wrote of a number that is not negative: nothing else, so that
// one count has one text.
func parseWhole(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || len(text) > 1 && text[0] == '0' || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%.40q is no whole number", text)
	}
	return n, nil
}
