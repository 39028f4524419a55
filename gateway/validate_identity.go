package gateway

import (
	"strings"

	"weir/admin"
)

// What PoolConfig.Identity may be.
const (
	identityGateway  = "gateway"
	identityInstance = "instance"
)

// identity is instance only where instances' users can be made, kept and told from the gateway's own.
func (v *validator) identity(at string, p *PoolConfig, c *Config) {
	if p.Identity == "" {
		return
	}
	v.oneOf(at, p.Identity, identityGateway, identityInstance)
	if p.Identity != identityInstance {
		return
	}
	switch {
	case p.SASL == nil:
		v.fail(at, codeValue, "instance needs sasl: brokers tell users apart by it")
	case strings.HasPrefix(p.SASL.Username, admin.IdentityUser):
		v.fail(at, codeValue, "with instance, users whose names begin with %s are instances': give the gateway another sasl.username", admin.IdentityUser)
	}
	if len(c.Secrets.KeyFiles) == 0 {
		v.fail(at, codeValue, "instance needs secrets.key_files: the users' passwords are kept in Redis, sealed")
	}
}
