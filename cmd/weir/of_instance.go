package main

import (
	"net/url"
	"strings"

	"weir/admin/api"
)

// ofInstance says which instance a command is about. Every command that takes one
// embeds it, or where it is optional, instanceTenant.
type ofInstance struct {
	Instance string `arg:"" help:"Name or id of the instance."`
	instanceTenant
}

// instanceTenant says whose instance it is.
type instanceTenant struct {
	Tenant string `help:"Whose instance it is. Default: the token's; of an operator, whoever alone has one of that name." placeholder:"ID" env:"WEIR_TENANT"`
}

// known is an instance that the server has shown.
func known(i api.Instance) ofInstance {
	return ofInstance{Instance: i.ID, instanceTenant: instanceTenant{Tenant: i.Tenant}}
}

// path is that of the instance in the REST interface and of what is below it, which
// may have a query.
func (o ofInstance) path(below string) string {
	path := "/v1/instances/" + url.PathEscape(o.Instance) + below
	switch {
	case o.Tenant == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&tenant=" + url.QueryEscape(o.Tenant)
	}
	return path + "?tenant=" + url.QueryEscape(o.Tenant)
}

// ask names the instance in a query, where no path does; nothing if there is none.
func (o ofInstance) ask(q url.Values) {
	if o.Instance == "" {
		return
	}
	q.Set("instance", o.Instance)
	if o.Tenant != "" {
		q.Set("tenant", o.Tenant)
	}
}

// typed is the instance in a command that somebody is told to try: as it was named,
// with its tenant if that was given, be it by the environment. "" if there is none.
func (o ofInstance) typed() string {
	if o.Tenant == "" || o.Instance == "" {
		return o.Instance
	}
	return o.Instance + " --tenant " + o.Tenant
}
