// Package api holds the bodies of the REST interface, shared by the server
// (package admin) and by what calls it (cmd/weir).
//
// It owns the names and the shapes on the wire: a field that is here once stays.
// It never validates, never talks HTTP and imports nothing of Weir.
package api
