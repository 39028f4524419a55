package rewrite

import (
	"context"
	"maps"
	"slices"
	"sync"

	"weir/tenancy"
)

// fakeStore keeps one instance's users, ACLs and quotas in memory.
type fakeStore struct {
	err   error // every call's, if not nil
	most  int   // users and entities with quotas there may be; 0: any number
	races int   // so many changes of users come too late

	mu     sync.Mutex
	rev    tenancy.Revision
	waited tenancy.Revision // of WaitApplied
	users  map[string]tenancy.User
	acls   map[tenancy.ACL]bool
	quotas []tenancy.Quota
}

func newFakeStore() *fakeStore {
	return &fakeStore{users: map[string]tenancy.User{}, acls: map[tenancy.ACL]bool{}}
}

func (s *fakeStore) Users(context.Context, tenancy.InstanceID) ([]tenancy.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []tenancy.User
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		all = append(all, s.users[name])
	}
	return all, s.err
}

func (s *fakeStore) PutUser(_ context.Context, _ tenancy.InstanceID, u tenancy.User) (tenancy.User, tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.race(u.Name)
	switch was, ok := s.users[u.Name]; {
	case s.err != nil:
		return tenancy.User{}, 0, s.err
	case !ok && u.Version != 0:
		return tenancy.User{}, 0, tenancy.ErrNotFound
	case ok && u.Version == 0:
		return tenancy.User{}, 0, tenancy.ErrExists
	case was.Version != u.Version:
		return tenancy.User{}, 0, tenancy.ErrConflict
	case !ok && s.most > 0 && len(s.users) >= s.most:
		return tenancy.User{}, 0, tenancy.ErrFull
	}
	u.Version++
	s.users[u.Name] = u
	s.rev++
	return u, s.rev, nil
}

// race changes a user, as somebody else might who is faster.
func (s *fakeStore) race(name string) {
	if s.races == 0 {
		return
	}
	s.races--
	u := s.users[name]
	u.Name, u.Version = name, u.Version+1
	s.users[name] = u
}

func (s *fakeStore) DeleteUserVersion(_ context.Context, _ tenancy.InstanceID, name string, version int64) (tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.race(name)
	switch was, ok := s.users[name]; {
	case s.err != nil:
		return 0, s.err
	case !ok:
		return 0, tenancy.ErrNotFound
	case was.Version != version:
		return 0, tenancy.ErrConflict
	}
	delete(s.users, name)
	s.rev++
	return s.rev, nil
}

func (s *fakeStore) ACLs(context.Context, tenancy.InstanceID) ([]tenancy.ACL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.acls), tenancy.ACL.Compare), s.err
}

func (s *fakeStore) ChangeACLs(_ context.Context, _ tenancy.InstanceID, add, remove []tenancy.ACL) (tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range remove {
		delete(s.acls, a)
	}
	for _, a := range add {
		s.acls[a] = true
	}
	s.rev++
	return s.rev, s.err
}

func (s *fakeStore) Quotas(context.Context, tenancy.InstanceID) ([]tenancy.Quota, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.quotas), s.err
}

func (s *fakeStore) ChangeQuotas(_ context.Context, _ tenancy.InstanceID, put []tenancy.Quota, remove []tenancy.QuotaKey) (tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	var quotas []tenancy.Quota
	of := func(e tenancy.QuotaEntity) *tenancy.Quota {
		i := slices.IndexFunc(quotas, func(q tenancy.Quota) bool { return q.Entity.Equal(e) })
		if i < 0 {
			i, quotas = len(quotas), append(quotas, tenancy.Quota{Entity: e, Values: map[string]float64{}})
		}
		return &quotas[i]
	}
	for _, q := range s.quotas {
		maps.Copy(of(q.Entity).Values, q.Values)
	}
	for _, k := range remove {
		delete(of(k.Entity).Values, k.Key)
	}
	for _, q := range put {
		maps.Copy(of(q.Entity).Values, q.Values)
	}
	quotas = slices.DeleteFunc(quotas, func(q tenancy.Quota) bool { return len(q.Values) == 0 })
	if s.most > 0 && len(quotas) > s.most {
		return 0, tenancy.ErrFull
	}
	s.quotas = quotas
	s.rev++
	return s.rev, nil
}

func (s *fakeStore) WaitApplied(_ context.Context, rev tenancy.Revision) (ready, of int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited = max(s.waited, rev)
	return 1, 1, nil
}
