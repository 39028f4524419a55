// Package quota (of bench) measures the bounds of quotas on real processes: three
// gateways that share a real Redis, kfake brokers in a process of their own, and
// franz-go clients in another. What it prints is PASS or FAIL of every bound with
// the numbers, and it fails if one does. See bench/README.md.
//
// In this package are the scenarios and the arithmetic of the verdict; the
// processes are started by its tests, under the build tag bench.
package quota
