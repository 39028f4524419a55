// Package billing turns usage records into money: what a plan's prices make of them,
// day by day and month by month, and how finance teams want to read it.
//
// It owns price books, charges, statements, budgets and the formats of exports. It
// never counts anything (package metering), never changes a usage record, and never
// uses a binary fraction: amounts are exact decimals.
package billing
