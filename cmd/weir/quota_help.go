package main

import (
	"strings"

	"weir/tenancy"
)

// limitsHelp is a table of all limits for --help; of package doc's syntax, where
// indented lines stay as they are.
func limitsHelp() string {
	var text strings.Builder
	for _, name := range tenancy.LimitNames() {
		k, _ := tenancy.KindOf(name)
		of := ""
		if k.SubQuota != "" {
			of = " *"
		}
		from, to := tenancy.FormatAmount(name, k.Min), tenancy.FormatAmount(name, k.Max)
		say(&text, "    %-31s %6s to %-10s %s%s\n", name, from, to, k.Unit, of)
	}
	return text.String()
}

const bytesHelp = "Bytes are written as 1048576, 10MiB or 1.5GB; other limits have plain numbers. " +
	"A limit holds over all gateways together."

func (*quotaSetCmd) Help() string {
	return "Limits, from the least to the most that can be set; those with * also for --user and --client:\n\n" +
		limitsHelp() + "\n" + bytesHelp + " For example:\n\n" +
		"    weir quota set orders produce_bytes_per_second=10MiB topics=200\n" +
		"    weir quota set orders produce_bytes_per_second=10MiB --burst 40MiB\n" +
		"    weir quota set orders --user etl fetch_bytes_per_second=1MiB --dry-run\n"
}

func (*planSetCmd) Help() string {
	return "Limits, from the least to the most that can be set:\n\n" + strings.ReplaceAll(limitsHelp(), " *\n", "\n") +
		"\n" + bytesHelp + " An instance's own limit counts before its plan's. For example:\n\n" +
		"    weir plan set dev fetch_bytes_per_second=50MiB connections=500 --dry-run\n"
}

func (*quotaGetCmd) Help() string {
	return "USED and PEAK of a rate are what is used in a second, on average. FROM is instance (weir quota set), " +
		"plan NAME (weir plan set, weir.yaml), budget (the tenant's is spent: weir budget get) or none: not bounded. What is not bounded may not be counted: \"-\"."
}

func (*throttleListCmd) Help() string {
	return "One line for each limit and client. SCOPE is whose limit it is: the instance's, a user's or a client id's. " +
		"THROTTLED is how long connections waited, added up: ten that wait a second have waited ten. \"refused\" did not wait. " +
		"SINCE is there while it goes on (within 10 s). OVER BY is how much is asked for, in parts of the limit: " +
		"3.2x is 3.2 times as much as may be used; \"-\" is no more than the limit, or not known. Gateways report every two seconds."
}
