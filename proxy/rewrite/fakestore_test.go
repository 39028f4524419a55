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
	err error // every call's, if not nil

	mu     sync.Mutex
	rev    tenancy.Revision
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
	if was := s.users[u.Name]; was.Version != u.Version {
		return tenancy.User{}, 0, tenancy.ErrConflict
	}
	u.Version++
	s.users[u.Name] = u
	s.rev++
	return u, s.rev, s.err
}

func (s *fakeStore) DeleteUser(_ context.Context, _ tenancy.InstanceID, name string) (tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.users[name]; !ok {
		return 0, tenancy.ErrNotFound
	}
	delete(s.users, name)
	s.rev++
	return s.rev, s.err
}

func (s *fakeStore) ACLs(context.Context, tenancy.InstanceID) ([]tenancy.ACL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.acls)), s.err
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

func (s *fakeStore) ChangeQuotas(_ context.Context, _ tenancy.InstanceID, put []tenancy.Quota, remove []tenancy.QuotaEntity) (tenancy.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := append(slices.Clone(remove), entitiesOf(put)...)
	s.quotas = slices.DeleteFunc(s.quotas, func(q tenancy.Quota) bool {
		return slices.ContainsFunc(gone, func(e tenancy.QuotaEntity) bool { return sameEntity(e, q.Entity) })
	})
	s.quotas = append(s.quotas, put...)
	s.rev++
	return s.rev, s.err
}

func (s *fakeStore) WaitApplied(context.Context, tenancy.Revision) (ready, of int, err error) {
	return 1, 1, nil
}

func entitiesOf(quotas []tenancy.Quota) (all []tenancy.QuotaEntity) {
	for _, q := range quotas {
		all = append(all, q.Entity)
	}
	return all
}

func sameEntity(a, b tenancy.QuotaEntity) bool {
	return sameText(a.User, b.User) && sameText(a.ClientID, b.ClientID)
}

func sameText(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
