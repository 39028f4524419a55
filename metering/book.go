package metering

import (
	"sync"
	"time"

	"weir/tenancy"
)

// Of is whose use is counted.
type Of struct {
	Instance tenancy.InstanceID
	Tenant   tenancy.TenantID
	Plan     string
	Pool     string
	Part     string // as Line's
}

// Config of a Book.
type Config struct {
	// Gateway names this process; Epoch is when it started, in unix microseconds.
	Gateway string
	Epoch   int64
	Now     func() time.Time // time.Now if nil
}

// Book has the accounts of this gateway. Any goroutine.
type Book struct {
	cfg Config

	mu       sync.Mutex
	accounts map[Of]*Account
}

// NewBook returns an empty one.
func NewBook(cfg Config) *Book {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Book{cfg: cfg, accounts: map[Of]*Account{}}
}

// Open returns the account of whose use is counted, which the caller gives back by
// Close when it will count no more.
func (b *Book) Open(of Of) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[of]
	if a == nil {
		a = &Account{}
		a.now.Store(new(counters))
		b.accounts[of] = a
	}
	return a
}

// Close gives an account back.
func (b *Book) Close(*Account) {}
