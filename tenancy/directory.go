package tenancy

import (
	"context"
	"log/slog"
)

// View is all that a gateway knows of one instance at one moment. Immutable.
type View struct {
	Instance Instance
	Space    Namespace
	Users    map[string]User // by name
}

// Directory is the gateway's in-memory, versioned snapshot of all instances,
// loaded once and kept current by the store's change stream.
type Directory struct{}

// DirectoryConfig configures NewDirectory.
type DirectoryConfig struct {
	Store   *Store
	Gateway string // this process's id, under which it reports what it has applied
	Log     *slog.Logger
}

// NewDirectory returns an empty directory; Run fills it.
func NewDirectory(cfg DirectoryConfig) *Directory { panic("stub") }

// Run loads the snapshot and follows changes until ctx ends. Redis being away
// is never an error: the snapshot stays as it is and Run keeps trying.
func (d *Directory) Run(ctx context.Context) error { panic("stub") }

// Ready is closed once the first snapshot is loaded.
func (d *Directory) Ready() <-chan struct{} { panic("stub") }

// View returns the instance's present view. Lock-free; any goroutine. Deleted instances are not found.
func (d *Directory) View(id InstanceID) (*View, bool) { panic("stub") }

// Each calls fn for every instance that is not deleted until fn returns false.
func (d *Directory) Each(fn func(*View) bool) { panic("stub") }

// Watch calls fn after every change that has come into force, one at a time,
// with the instance's new view (State Deleted when it is gone). fn must not block. Register before Run.
func (d *Directory) Watch(fn func(*View)) { panic("stub") }
