package tenancy

import (
	"iter"
	"strings"
)

// DidYouMean suggests the nearest known name, if one is at most two edits away (one
// for names of up to three letters); "" if none is.
func DidYouMean(name string, known iter.Seq[string]) string {
	best, edits := "", 3
	for k := range known {
		n := distance(name, k)
		if n < edits || n == edits && k < best {
			best, edits = k, n
		}
	}
	if best == "" || edits > 2 || edits > 1 && len(best) <= 3 {
		return ""
	}
	return best
}

// MeantLimit suggests the limit that a name which is none of LimitNames was meant to
// be; "" if none is near. Besides misspelling, people write Kafka's key for it
// (KIP-546), and leave off the end.
func MeantLimit(name string) LimitName {
	name = strings.ToLower(name)
	var begun []LimitName
	for _, l := range LimitNames() {
		if k := limitKinds[l].SubQuota; k != "" && k == name {
			return l
		}
		if strings.HasPrefix(string(l), name) {
			begun = append(begun, l)
		}
	}
	if len(begun) == 1 {
		return begun[0]
	}
	names := func(yield func(string) bool) {
		for _, l := range LimitNames() {
			if !yield(string(l)) {
				return
			}
		}
	}
	return LimitName(DidYouMean(name, names))
}

// distance is the number of single-letter edits, swaps of neighbours counting
// as one (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
