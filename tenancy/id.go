package tenancy

// InstanceID names an instance for ever: [a-z][a-z0-9-]{0,30}[a-z0-9], and not
// b<digits>-..., which would read as a broker's host name. Unique over all
// tenants and never reused. Made by ParseInstanceID or NewInstanceID.
type InstanceID string

// TenantID names who owns instances; the same alphabet as InstanceID.
type TenantID string
