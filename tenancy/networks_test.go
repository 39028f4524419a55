package tenancy

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func sameNetworks() cmp.Option {
	return cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
}

func direct(cidr string) Network { return Network{CIDR: netip.MustParsePrefix(cidr)} }

func behind(cloud, id, cidr string) Network {
	n := Network{Endpoint: Endpoint{Cloud: cloud, ID: id}}
	if cidr != "" {
		n.CIDR = netip.MustParsePrefix(cidr)
	}
	return n
}

func noted(n Network, comment string) Network {
	n.Comment = comment
	return n
}

// mustNetworks checks an instance's networks and returns their tag.
func mustNetworks(t *testing.T, s *Store, id InstanceID, want ...Network) string {
	t.Helper()
	got, tag, err := s.Networks(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameNetworks()); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("networks of %s (-want +got):\n%s", id, diff)
	}
	return tag
}

// An instance has a set of networks, of its own, which goes with it.
func TestNetworks(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	ten, one, six := direct("10.0.0.0/8"), direct("192.0.2.7/32"), direct("2001:db8::/32")
	vpce, part := behind("aws", "vpce-0a1b", ""), behind("aws", "vpce-0a1b", "10.0.0.0/8")
	for _, step := range []struct {
		put, remove, want []Network
		err               error
	}{
		{want: nil},
		{put: []Network{one, ten, ten}, want: []Network{ten, one}},
		{put: []Network{noted(ten, "office <&> ü")}, want: []Network{noted(ten, "office <&> ü"), one}},
		{put: []Network{vpce, part, six}, remove: []Network{ten, ten}, want: []Network{one, six, vpce, part}},
		{put: []Network{ten}, remove: []Network{one, behind("aws", "vpce-0a1b", "10.0.0.0/9")}, want: []Network{one, six, vpce, part}, err: ErrNotFound},
		{put: []Network{ten, {}}, want: []Network{one, six, vpce, part}, err: ErrNetwork},
		{put: []Network{one}, remove: []Network{one}, want: []Network{one, six, vpce, part}},
		{remove: []Network{noted(vpce, "another comment")}, want: []Network{one, six, part}},
	} {
		_, err := s.ChangeNetworks(ctx, "orders", step.put, step.remove)
		wantErr(t, fmt.Sprint(step.put, step.remove), err, step.err)
		mustNetworks(t, s, "orders", step.want...)
	}
	mustNetworks(t, s, "bills")

	mustUpdate(t, s, "orders", setState(StateDeleted))
	if n := rdb.Exists(ctx, settingsKey("orders", settingsNetworks)).Val(); n != 0 {
		t.Error("the networks of a deleted instance are kept")
	}
	for _, id := range []InstanceID{"orders", "nobody"} {
		_, _, err := s.Networks(ctx, id)
		wantErr(t, "reading those of "+string(id), err, ErrNotFound)
		_, err = s.ChangeNetworks(ctx, id, []Network{ten}, nil)
		wantErr(t, "changing those of "+string(id), err, ErrNotFound)
		for _, tag := range []string{"", "x"} {
			_, _, err = s.ReplaceNetworks(ctx, id, []Network{ten}, tag)
			wantErr(t, "replacing those of "+string(id), err, ErrNotFound)
		}
	}
}

// Only who has seen the list can replace it; what else changes of the instance does
// not keep him from it.
func TestReplaceNetworks(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	ten, one := direct("10.0.0.0/8"), direct("192.0.2.7/32")
	empty := mustNetworks(t, s, "orders")
	_, tag, err := s.ReplaceNetworks(ctx, "orders", []Network{ten, one}, empty)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustNetworks(t, s, "orders", ten, one); got != tag || tag == empty {
		t.Errorf("tags %s, %s and, empty, %s", got, tag, empty)
	}
	_, _, err = s.ReplaceNetworks(ctx, "orders", []Network{one}, empty)
	wantErr(t, "with the tag of another list", err, ErrStale)
	if _, err := s.ChangeNetworks(ctx, "orders", []Network{noted(ten, "x")}, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.ReplaceNetworks(ctx, "orders", nil, tag)
	wantErr(t, "with the tag of other comments", err, ErrStale)
	_, _, err = s.ReplaceNetworks(ctx, "orders", []Network{one, {}}, "")
	wantErr(t, "with one that cannot be", err, ErrNetwork)
	tag = mustNetworks(t, s, "orders", noted(ten, "x"), one)

	if _, err := s.ChangeACLs(ctx, "orders", []ACL{someACL("a")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.ReplaceNetworks(ctx, "orders", []Network{one}, tag); err != nil {
		t.Errorf("after a change of the ACLs: %v", err)
	}
	if _, _, err := s.ReplaceNetworks(ctx, "orders", nil, ""); err != nil {
		t.Error(err)
	}
	if got := mustNetworks(t, s, "orders"); got != empty {
		t.Errorf("no networks have tag %s, had %s", got, empty)
	}
}

// before runs fn once, right before a script does.
type before struct {
	fn func()
}

func (b *before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if fn := b.fn; fn != nil && (cmd.Name() == "eval" || cmd.Name() == "evalsha") && fmt.Sprint(cmd.Args()[3]) == recordKey("orders") {
			b.fn = nil
			fn()
		}
		return next(ctx, cmd)
	}
}

// Between the look at the list and the write somebody else changes the instance.
func TestReplaceNetworksInARace(t *testing.T) {
	for what, tc := range map[string]struct {
		meanwhile func(*Store) error
		want      error
	}{
		"the ACLs change": {func(s *Store) error {
			_, err := s.ChangeACLs(t.Context(), "orders", []ACL{someACL("a")}, nil)
			return err
		}, nil},
		"the networks change": {func(s *Store) error {
			_, err := s.ChangeNetworks(t.Context(), "orders", []Network{direct("10.0.0.0/8")}, nil)
			return err
		}, ErrStale},
	} {
		m, rdb := newRedis(t)
		s, other := newStore(rdb), newStore(newClient(t, m.Addr()))
		mustCreate(t, s, someInstance("orders"))
		_, tag, err := s.Networks(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		hook := &before{}
		rdb.AddHook(hook)
		hook.fn = func() {
			if err := tc.meanwhile(other); err != nil {
				t.Error(err)
			}
		}
		_, _, err = s.ReplaceNetworks(t.Context(), "orders", []Network{direct("192.0.2.7/32")}, tag)
		wantErr(t, what, err, tc.want)
		if hook.fn != nil {
			t.Error("nothing happened in between")
		}
		if tc.want == nil {
			mustNetworks(t, s, "orders", direct("192.0.2.7/32"))
		} else {
			mustNetworks(t, s, "orders", direct("10.0.0.0/8"))
		}
	}
}

// Two who add at once undo nothing of each other.
func TestNetworksAddedAtOnce(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	const n = 16
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := s.ChangeNetworks(t.Context(), "orders", []Network{direct(fmt.Sprintf("10.%d.0.0/16", i))}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, _, err := s.Networks(t.Context(), "orders"); err != nil || len(all) != n {
		t.Errorf("%d networks, %v", len(all), err)
	}
}

func manyNetworks(n int) []Network {
	all := make([]Network, n)
	for i := range all {
		all[i] = Network{CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)}
	}
	return all
}

// As many as there may be, and none of those that are too many.
func TestMaxNetworks(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	all := manyNetworks(MaxNetworks + 1)
	_, err := s.ChangeNetworks(ctx, "orders", all, nil)
	wantErr(t, "one too many at once", err, ErrFull)
	_, _, err = s.ReplaceNetworks(ctx, "orders", all, "")
	wantErr(t, "one too many in a list", err, ErrFull)
	mustNetworks(t, s, "orders")
	if _, _, err = s.ReplaceNetworks(ctx, "orders", all[1:], ""); err != nil {
		t.Fatal(err)
	}
	_, err = s.ChangeNetworks(ctx, "orders", all[:1], nil)
	wantErr(t, "one too many", err, ErrFull)
	if _, err := s.ChangeNetworks(ctx, "orders", all[:1], all[1:2]); err != nil {
		t.Errorf("one for another: %v", err)
	}
}

// What Redis holds that is no network lets nobody in: the former view stays.
func TestBrokenNetworks(t *testing.T) {
	for field, raw := range map[string]string{
		"10.0.0.0/8":  `{"cidr":"0.0.0.0/0"}`,
		"":            `{}`,
		"0.0.0.0/0":   `{"cidr":"nonsense"}`,
		"aws vpce-01": `{"endpoint":{"cloud":"aws","id":"vpce-02"}}`,
		"x":           `{`,
	} {
		if got, err := decodeNetworks("orders", map[string]string{field: raw}); err == nil {
			t.Errorf("%q is read as %v", field, got)
		}
	}
}
