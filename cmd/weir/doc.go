// Command weir is the one binary: the gateway (dev, serve), its configuration
// check, and the management and first look from the shell.
//
// It owns flags, exit codes and how results and errors look. It decides nothing:
// gateway runs things, package admin answers over REST, and topics are reached
// as any Kafka client does. Data goes to stdout, all else to stderr.
package main
