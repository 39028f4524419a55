package tenancy

import (
	"log/slog"
	"slices"
	"sync"
)

// hostIndex finds instances by the host names of their own. Read by anybody,
// written by the directory's Run only.
//
// Claims keep a name from being given twice. Should it be all the same (a dump was
// restored), who had it first here keeps it, until it gives it up.
type hostIndex struct {
	holders sync.Map // name -> InstanceID
	rivals  map[string][]InstanceID
	log     *slog.Logger
}

// Host finds the instance that has a host name of its own, in lower case and
// without a trailing dot. Lock-free, without allocation; any goroutine.
func (d *Directory) Host(name string) (*View, *Host, bool) {
	id, ok := d.hosts.holders.Load(name)
	if !ok {
		return nil, nil, false
	}
	v, ok := d.View(id.(InstanceID))
	if !ok {
		return nil, nil, false
	}
	h := v.Access.host(name)
	return v, h, h != nil
}

// host finds one of the instance's host names; nil if it is none.
func (a *Access) host(name string) *Host {
	for i := range a.Hosts { // MaxHosts at most
		if a.Hosts[i].Name == name {
			return &a.Hosts[i]
		}
	}
	return nil
}

// change brings the index from one set of an instance's host names to the next.
func (x *hostIndex) change(id InstanceID, was, now []Host) {
	for _, h := range was {
		if !slices.ContainsFunc(now, func(n Host) bool { return n.Name == h.Name }) {
			x.remove(h.Name, id)
		}
	}
	for _, h := range now {
		x.add(h.Name, id)
	}
}

func (x *hostIndex) add(name string, id InstanceID) {
	holder, taken := x.holders.LoadOrStore(name, id)
	if !taken || holder == id || slices.Contains(x.rivals[name], id) {
		return
	}
	if x.rivals == nil {
		x.rivals = make(map[string][]InstanceID)
	}
	x.rivals[name] = append(x.rivals[name], id)
	x.log.Error("two instances have one host name; the first keeps it", "host", name,
		"instance", string(holder.(InstanceID)), "other", string(id), "try", "weir host delete "+string(id)+" "+name)
}

// remove takes a name from an instance, and gives it to who came next.
func (x *hostIndex) remove(name string, id InstanceID) {
	rivals := slices.DeleteFunc(x.rivals[name], func(r InstanceID) bool { return r == id })
	if holder, _ := x.holders.Load(name); holder == id {
		if len(rivals) == 0 {
			x.holders.Delete(name)
		} else {
			x.holders.Store(name, rivals[0])
			rivals = rivals[1:]
		}
	}
	if len(rivals) == 0 {
		delete(x.rivals, name)
	} else {
		x.rivals[name] = rivals
	}
}
