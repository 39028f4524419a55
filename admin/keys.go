package admin

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

// How long a key may count, if not for ever.
const minKeyLife, maxKeyLife = time.Minute, 10 * 365 * 24 * time.Hour

type createKeyInput struct {
	InstancePath
	User string `path:"user"`
	Body api.CreateKey
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *createKeyInput) Resolve(huma.Context) []error {
	if d, err := time.ParseDuration(in.Body.ExpiresIn); in.Body.ExpiresIn != "" && (err != nil || d < minKeyLife || d > maxKeyLife) {
		return details([]api.FieldError{{Location: "body.expires_in", Message: "expected a duration from 1m to 87600h, or none"}})
	}
	if err := tenancy.CheckComment(in.Body.Comment); err != nil {
		return details([]api.FieldError{{Location: "body.comment", Message: err.Error()}})
	}
	return nil
}

type createKeyOutput struct {
	Location string `header:"Location"`
	Revision string `header:"Weir-Revision"`
	Body     api.CreatedKey
}

// createKey answers when the key is in force, with its secret this once.
func (s *server) createKey(ctx context.Context, in *createKeyInput) (*createKeyOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	if err := s.keysAllowed(ctx, i); err != nil {
		return nil, err
	}
	u, err := s.cfg.Store.User(ctx, i.ID, in.User)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, in.User)
	}
	now := s.cfg.Now().UTC()
	k, secret, err := s.cfg.Secrets.NewKey(s.cfg.Rand, i.ID, u, now)
	if err != nil {
		return nil, err
	}
	k.Comment = in.Body.Comment
	if life, _ := time.ParseDuration(in.Body.ExpiresIn); life > 0 { // Resolve has seen it
		k.ExpiresAt = now.Add(life).Truncate(time.Second)
	}
	rev, err := s.cfg.Store.CreateKey(ctx, i.ID, k)
	if err = s.written(ctx, err); errors.Is(err, tenancy.ErrFull) {
		return nil, problem(codeKeysFull, "Instance %s may have %d API keys at most.", i.Name, tenancy.MaxKeys)
	} else if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &createKeyOutput{Location: "/v1/instances/" + string(i.ID) + "/keys/" + k.ID, Revision: strconv.FormatInt(int64(rev), 10)}
	out.Body.Key = s.key(i.ID, k)
	if out.Body.KafkaCredentials, err = s.kafkaCredentials(i, out.Body.Key.Username, secret, auth.Plain); err != nil {
		return nil, err
	}
	out.Body.ReadyOn = s.applied(ctx, rev)
	return out, nil
}

// keysAllowed refuses to make what the instance's own policy would not let in.
func (s *server) keysAllowed(ctx context.Context, i tenancy.Instance) error {
	policy, err := s.cfg.Store.Authentication(ctx, i.ID)
	if err != nil {
		return s.changed(ctx, err, i.ID, "")
	}
	if !policy.Allows(auth.Plain) {
		return problem(codeKeysNotAllowed, "API keys are for mechanism PLAIN, which %s does not let clients use.", i.Name)
	}
	return nil
}

type listKeysInput struct {
	InstancePath
	ListInput
	User string `query:"user" maxLength:"64" doc:"Only those of this user."`
}

type listKeysOutput struct{ Body api.Keys }

func (s *server) listKeys(ctx context.Context, in *listKeysInput) (*listKeysOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	keys, err := s.cfg.Store.Keys(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	keys = slices.DeleteFunc(keys, func(k tenancy.Key) bool {
		return in.User != "" && k.User != in.User || strings.Compare(k.ID, in.After) <= 0
	})
	out := &listKeysOutput{Body: api.Keys{Items: []api.Key{}}}
	for _, k := range keys[:min(in.Limit, len(keys))] {
		out.Body.Items = append(out.Body.Items, s.key(i.ID, k))
	}
	if len(keys) > in.Limit {
		out.Body.Next = &out.Body.Items[in.Limit-1].ID
	}
	return out, nil
}

type keyPath struct {
	InstancePath
	Key string `path:"key"`
}

// deleteKey answers when the gateways have closed the key's connections.
func (s *server) deleteKey(ctx context.Context, in *keyPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.DeleteKey(ctx, i.ID, in.Key)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil, problem(codeKeyNotFound, "Instance %s has no API key %.80q.", i.Name, in.Key)
	}
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	s.applied(ctx, rev)
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}

// key is what a caller sees of it: nothing of its secret.
func (s *server) key(i tenancy.InstanceID, k tenancy.Key) api.Key {
	return api.Key{
		ID: k.ID, Username: s.cfg.Username(i, k.ID), User: k.User, Comment: k.Comment,
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: atOrNever(k.ExpiresAt),
	}
}

// atOrNever is nil for zero.
func atOrNever(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
