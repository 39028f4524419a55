package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/metering"
	"weir/tenancy"
)

// Spec says which export: all that its bytes depend on besides what is sealed.
type Spec struct {
	Tenant   tenancy.TenantID   // "": of all
	Instance tenancy.InstanceID // "": of all
	From, To metering.Hour      // from the first up to, not with, the second
	Format   Format
	// AsOf leaves out what was sealed later; whole seconds, UTC.
	AsOf time.Time
	// Names: the breakdown by users and topics too. Not with FOCUS.
	Names bool
}

// File is one file of an export, before it is made.
type File struct {
	Name     string
	From, To metering.Hour
	// ETag is the same as long as its bytes are, without quotes.
	ETag string
}

// ErrID says that a text is no id of an export.
var ErrID = errors.New("no id of an export")

// nobody stands for no tenant and no instance in an id: neither may have a '_'.
const nobody = "_"

// ID has all of a Spec in it, and only characters that a path may have:
// "e1~jsonl~t-acme~orders~2026-11-22T00~2026-11-23T00~1795478400~names".
func (s Spec) ID() string {
	or := func(name string) string {
		if name == "" {
			return nobody
		}
		return name
	}
	parts := []string{
		"e" + strconv.Itoa(formatVersion), string(s.Format), or(string(s.Tenant)), or(string(s.Instance)),
		s.From.String(), s.To.String(), strconv.FormatInt(s.AsOf.Unix(), 10),
	}
	if s.Names {
		parts = append(parts, "names")
	}
	return strings.Join(parts, "~")
}

// ParseID reads what ID wrote; ErrID of anything else, also of what another version wrote.
func ParseID(id string) (s Spec, err error) {
	parts := strings.Split(id, "~")
	if n := len(parts); n != 7 && (n != 8 || parts[7] != "names") {
		return s, ErrID
	}
	unless := func(text string) string {
		if text == nobody {
			return ""
		}
		return text
	}
	s.Tenant, s.Instance = tenancy.TenantID(unless(parts[2])), tenancy.InstanceID(unless(parts[3]))
	var errs [4]error
	var at int64
	s.Format, errs[0] = ParseFormat(parts[1])
	s.From, errs[1] = metering.ParseHour(parts[4])
	s.To, errs[2] = metering.ParseHour(parts[5])
	at, errs[3] = strconv.ParseInt(parts[6], 10, 64)
	s.AsOf, s.Names = time.Unix(at, 0).UTC(), len(parts) == 8
	if errors.Join(errs[:]...) != nil || s.ID() != id || s.idMistake() != nil {
		return Spec{}, ErrID
	}
	return s, nil
}

func (s Spec) idMistake() error {
	if s.Tenant != "" {
		if _, err := tenancy.ParseTenantID(string(s.Tenant)); err != nil {
			return err
		}
	}
	if s.Instance != "" {
		if _, err := tenancy.ParseInstanceID(string(s.Instance)); err != nil {
			return err
		}
	}
	return nil
}

// Files are those of the export, in order of time: one for each UTC day of usage, and
// one for each UTC month of charges, which are reckoned by months.
func (s Spec) Files() (all []File) {
	k, id := s.Format.kind(), s.ID()
	prefix, form := "usage-", time.DateOnly
	if k.usage == nil {
		prefix, form = "focus-", "2006-01"
	}
	for from := s.From; from < s.To; {
		begin := from.Begin()
		end := time.Date(begin.Year(), begin.Month(), begin.Day()+1, 0, 0, 0, 0, time.UTC)
		if k.usage == nil {
			end = time.Date(begin.Year(), begin.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		}
		to := min(s.To, metering.HourOf(end))
		name := prefix + begin.Format(form) + "." + k.extension
		sum := sha256.Sum256([]byte(id + "/" + name))
		all = append(all, File{Name: name, From: from, To: to, ETag: hex.EncodeToString(sum[:12])})
		from = to
	}
	return all
}

// File finds one by its name.
func (s Spec) File(name string) (File, bool) {
	for _, f := range s.Files() {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}

// Mistake is what is wrong with a Spec that somebody asked for.
type Mistake struct {
	Field   string // as REST calls it
	Message string
}

// Error names the field too.
func (m *Mistake) Error() string { return m.Field + ": " + m.Message }

func mistake(field, format string, args ...any) error {
	return &Mistake{field, fmt.Sprintf(format, args...)}
}

// ParseTime reads the whole hour that a person means by 2026-11-22, 2026-11-22T19 or
// 2026-11-22T19:00:00Z; UTC, unless it says else.
func ParseTime(text string) (metering.Hour, error) {
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return metering.HourOf(at), nil
	}
	if h, err := metering.ParseHour(text); err == nil {
		return h, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no time: want one like 2026-11-22, 2026-11-22T19 or 2026-11-22T19:00:00Z", text)
	}
	if h := metering.HourOf(at); h.Begin().Equal(at) {
		return h, nil
	}
	return 0, fmt.Errorf("%.40q is not the beginning of a UTC hour", text)
}

// checkPeriod says what is wrong with a period whether its hours are sealed or not.
func checkPeriod(from, to metering.Hour, now time.Time, retention time.Duration) error {
	oldest := metering.HourOf(now.Add(-retention))
	switch {
	case from >= to:
		return mistake("to", "%s is not after from (%s): the period is empty or reversed", to, from)
	case from < oldest:
		return mistake("from", "%s is older than records are kept: the oldest hour is %s", from, oldest)
	}
	return nil
}

// check says what is wrong with the period: all hours before sealed are.
func (s Spec) check(now time.Time, sealed metering.Hour, retention time.Duration) error {
	if err := checkPeriod(s.From, s.To, now, retention); err != nil {
		return err
	}
	switch {
	case s.To.Begin().After(now) && sealed == 0:
		return mistake("to", "%s is in the future; it is %s", s.To, now.UTC().Format(time.RFC3339))
	case s.To.Begin().After(now):
		return mistake("to", "%s is in the future; the last sealed hour ends at %s", s.To, sealed)
	case sealed == 0:
		return mistake("to", "no hour is sealed yet: the first one is %d minutes after its end", int(metering.SealAfter.Minutes()))
	case s.To > sealed:
		return mistake("to", "%s is not sealed yet: an hour is %d minutes after its end; the last one ends at %s", s.To, int(metering.SealAfter.Minutes()), sealed)
	case s.AsOf.After(now):
		return mistake("as_of", "%s is in the future", s.AsOf.Format(time.RFC3339))
	case s.AsOf.Before(sealedAt(s.To)):
		return mistake("as_of", "%s is before the period's last hour was sealed (%s)", s.AsOf.Format(time.RFC3339), sealedAt(s.To).Format(time.RFC3339))
	case s.Format == FOCUS && s.Names:
		return mistake("names", "charges are not broken down by users and topics: leave it out with focus")
	case s.Format == FOCUS && s.From.Begin().Hour() != 0:
		return mistake("from", "%s is no midnight: charges are of whole UTC days", s.From)
	case s.Format == FOCUS && s.To.Begin().Hour() != 0:
		return mistake("to", "%s is no midnight: charges are of whole UTC days, the last one that is sealed ends at %s", s.To, (sealed / 24 * 24))
	}
	return s.idMistake()
}

// sealedAt is when the hour before to is sealed.
func sealedAt(to metering.Hour) time.Time { return to.Begin().Add(metering.SealAfter) }
