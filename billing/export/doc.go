// Package export writes usage records and charges into files as other programs want to
// read them: CloudEvents, CSV and Parquet of usage, FOCUS 1.2 of charges.
//
// It owns the formats, what an export is (a [Spec], of which its id is another form),
// and its files' manifest. Nothing is stored: a file is made anew of what is sealed each
// time that somebody reads it, and has the same bytes each time. It never rates anything
// (package billing), and never holds more of a file in memory than a row group.
package export
