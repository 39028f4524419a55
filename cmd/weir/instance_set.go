package main

import (
	"context"
	"net/http"

	"weir/admin/api"
)

type instanceSetCmd struct {
	ofInstance
	Plan   string `required:"" help:"The plan that it is to have; its limits are in force at once." placeholder:"PLAN"`
	DryRun bool   `help:"Change nothing; say which limits would change, and whether that would hold it back now."`
}

func (c *instanceSetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var did api.ChangedInstance
	if err := cl.call(ctx, http.MethodPatch, c.path(dryRunQuery(c.DryRun)), api.ChangeInstance{Plan: c.Plan}, &did); err != nil {
		return err
	}
	return e.changedQuotas(c.Instance+" on plan "+c.Plan, did.ChangedQuotas, did)
}
