package tenancy

import (
	"encoding/json"
	"testing"
)

// Whatever a record holds, decoding it never panics, and a view that comes of it
// is of the instance and the users that its key and fields name.
func FuzzDecodeView(f *testing.F) {
	good, err := json.Marshal(someInstance("orders"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("orders", string(good), "alice", `{"name":"alice","credentials":[{"mechanism":"SCRAM-SHA-256","salt":"AA=="}],"version":1}`)
	f.Add("orders", `{"id":"bills"}`, "alice", `{}`)
	f.Add("orders.", `{"id":"orders."}`, "", `{"name":""}`)
	f.Add("orders", `null`, "alice", `null`)
	f.Fuzz(func(t *testing.T, id, instance, name, user string) {
		view, err := decodeView(InstanceID(id), instance, map[string]string{
			fieldInstance: instance, fieldStamp: "s", userPrefix + name: user,
		}, nil)
		if err != nil {
			return
		}
		if _, err := ParseInstanceID(string(view.Instance.ID)); err != nil || string(view.Instance.ID) != id || view.Space.Prefix() != id+"." {
			t.Errorf("the record of %q became a view of %q with prefix %q: %v", id, view.Instance.ID, view.Space.Prefix(), err)
		}
		for key, u := range view.Users {
			if key != name || u.Name != name {
				t.Errorf("user %q is listed as %q, and calls itself %q", name, key, u.Name)
			}
		}
	})
}

func FuzzParseHolder(f *testing.F) {
	f.Add("orders 1700000000000 STAMP")
	f.Add("")
	f.Add("orders")
	f.Add("  ")
	f.Fuzz(func(t *testing.T, raw string) {
		if h, err := parseHolder(raw); err == nil && h.raw != raw {
			t.Errorf("%q became %q", raw, h.raw)
		}
	})
}
