//go:build bench

package quota_test

func runQuiet(arg []byte) error { return nil }
