package rewrite

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// fieldsTSV says of every field of every key that could name something what it
// means: key, name, direction, kmsg path, meaning.
//
//go:embed fields.tsv
var fieldsTSV string

// classified is one line of fields.tsv.
type classified struct {
	key       int16
	direction string // req or resp
	path      string // "Topics[].Topic"
	meaning   string
}

// fieldsOf returns the lines of one key and direction.
func fieldsOf(key int16, direction string) []classified {
	return classification()[fieldsKey{key, direction}]
}

type fieldsKey struct {
	key       int16
	direction string
}

// classification is fields.tsv, read at first use. The file is part of the
// program: a line that is wrong fails the first test.
var classification = sync.OnceValue(func() map[fieldsKey][]classified { //nolint:gochecknoglobals // read-only table
	all := map[fieldsKey][]classified{}
	_, lines, _ := strings.Cut(fieldsTSV, "\n") // less the heading
	for line := range strings.Lines(lines) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		key, err := strconv.ParseInt(columns[0], 10, 16)
		if err != nil || len(columns) != 5 {
			panic("fields.tsv: a line has not five columns, or no key: " + line)
		}
		f := classified{int16(key), columns[2], columns[3], columns[4]}
		at := fieldsKey{f.key, f.direction}
		all[at] = append(all[at], f)
	}
	return all
})
