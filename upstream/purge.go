package upstream

import "context"

// Purge deletes every topic and group whose name begins with prefix. It may be
// interrupted and called again. Groups with live members are emptied first.
func (p *Pool) Purge(ctx context.Context, prefix string) error { panic("stub") }
