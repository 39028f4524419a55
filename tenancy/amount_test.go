package tenancy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAmount(t *testing.T) {
	for _, tc := range []struct {
		name LimitName
		text string
		want float64
		err  string
	}{
		{LimitProduceBytes, "1048576", 1 << 20, ""},
		{LimitProduceBytes, "10MiB", 10 << 20, ""},
		{LimitProduceBytes, "1.5 GB", 1.5e9, ""},
		{LimitStorageBytes, "1PiB", 1 << 50, ""},
		{LimitMessageBytes, "2048B", 2048, ""},
		{LimitFetchBytes, "10kB", 10_000, ""},
		{LimitRequests, "0.5", 0.5, ""},
		{LimitRequests, "10MiB", 0, `"10MiB" is not a number like 200 (requests/s)`},
		{LimitFetchBytes, "10mib", 0, "10MiB or 10MB"},
		{LimitFetchBytes, "10 MiB/s", 0, "10MiB or 10MB"},
		{LimitTopics, "", 0, "not a number like 200 (topics)"},
		{LimitTopics, "-1", 0, "not a number"},
		{LimitTopics, "Inf", 0, "not a number"},
		{LimitTopics, "1e3", 0, "not a number"},
		{LimitTopics, "1_000", 0, "not a number"},
		{LimitTopics, "1.2.3", 0, "not a number"},
		{"bytes", "1", 0, "unknown"},
	} {
		got, err := ParseAmount(tc.name, tc.text)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s %q: %v, %v; want %v, %q", tc.name, tc.text, got, err, tc.want, tc.err)
		}
	}
}

func TestFormatAmount(t *testing.T) {
	for _, tc := range []struct {
		name  LimitName
		value float64
		want  string
	}{
		{LimitProduceBytes, 10 << 20, "10 MiB"},
		{LimitProduceBytes, 10_000_000, "9.54 MiB"},
		{LimitProduceBytes, 0, "0 B"},
		{LimitStorageBytes, 1 << 50, "1 PiB"},
		{LimitMessageBytes, 1023, "1023 B"},
		{LimitRequests, 0.5, "0.5"},
		{LimitTopics, 1e9, "1000000000"},
	} {
		if got := FormatAmount(tc.name, tc.value); got != tc.want {
			t.Errorf("%s %v: %q, want %q", tc.name, tc.value, got, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // what is written can be read, and is what it was but for the rounding
		name := rapid.SampledFrom(LimitNames()).Draw(t, "name")
		value := rapid.Float64Range(0, 1<<50).Draw(t, "value")
		got, err := ParseAmount(name, FormatAmount(name, value))
		if err != nil || got < value*0.995-0.006 || got > value*1.005+0.006 {
			t.Fatalf("%s %v became %q, then %v, %v", name, value, FormatAmount(name, value), got, err)
		}
	})
}
