package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// IncrementalAlterConfigs (44) sets, deletes, extends and shortens single
// configs. 1: flexible. A resource with one config that a tenant may not touch
// is refused whole, as Kafka refuses one with an invalid config.
func incrementalAlterConfigs(x *Exchange, req *kmsg.IncrementalAlterConfigsRequest) (outcome[*kmsg.IncrementalAlterConfigsResponse], error) {
	asked := make([]kmsg.IncrementalAlterConfigsRequestResource, 0, len(req.Resources))
	var refused []placed[kmsg.IncrementalAlterConfigsResponseResource]
	for i, r := range req.Resources {
		physical, code := x.physicalResource(r.ResourceType, r.ResourceName)
		msg := standardText(code)
		if code == 0 {
			code, msg = x.checkAlterations(&r)
		}
		if code != 0 {
			row := kmsg.NewIncrementalAlterConfigsResponseResource()
			row.ResourceType, row.ResourceName = r.ResourceType, r.ResourceName
			row.ErrorCode, row.ErrorMessage = code, msg
			place(&refused, i, row)
			continue
		}
		r.ResourceName = physical
		asked = append(asked, r)
	}
	unmap := func(resp *kmsg.IncrementalAlterConfigsResponse) error {
		for i := range resp.Resources {
			r := &resp.Resources[i]
			virtual, err := x.virtualName(configKind(r.ResourceType), r.ResourceName)
			if err != nil {
				return err
			}
			r.ResourceName = virtual
			r.ErrorMessage = x.Text(r.ErrorCode, r.ErrorMessage)
		}
		resp.Resources = splice(resp.Resources, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		return answer(resp), unmap(resp)
	}
	req.Resources = asked
	return forward(unmap), nil
}

// checkAlterations judges what is to be done to one resource; code 0 lets it pass.
func (x *Exchange) checkAlterations(r *kmsg.IncrementalAlterConfigsRequestResource) (code int16, msg *string) {
	for _, c := range r.Configs {
		value := c.Value
		if c.Op == kmsg.IncrementalAlterConfigOpDelete {
			value = nil // it is ignored
		}
		if code, msg := x.checkConfig(r.ResourceType, c.Name, value); code != 0 {
			return code, msg
		}
	}
	return 0, nil
}
