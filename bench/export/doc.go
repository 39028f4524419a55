// Package export (of bench) measures what an export costs: time, rows a second and the
// most memory that the process had, for each format and for one day and two, of records
// in a real Redis read through the real store. Memory must not grow with the period.
// See bench/README.md. The measurement is its test, under the build tag bench.
package export
