package admin

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

type createUserInput struct {
	InstancePath
	Body api.CreateUser
}

func (in *createUserInput) mistakes() []api.FieldError { return userMistakes(&in.Body, "body.") }

func userMistakes(u *api.CreateUser, prefix string) []api.FieldError {
	if u.Name == "" {
		return nil // the schema says so
	}
	if _, err := tenancy.ParseUserName(u.Name); err != nil {
		return []api.FieldError{{Location: prefix + "name", Message: err.Error()}}
	}
	return nil
}

type createUserOutput struct {
	Location string `header:"Location"`
	Revision string `header:"Weir-Revision"`
	Body     api.CreatedUser
}

func (s *server) createUser(ctx context.Context, in *createUserInput) (*createUserOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	u, password, err := s.newUser(in.Body, "body.")
	if err != nil {
		return nil, err
	}
	made, rev, err := s.cfg.Store.PutUser(ctx, i.ID, u)
	err = s.written(ctx, err)
	if errors.Is(err, tenancy.ErrExists) || errors.Is(err, tenancy.ErrConflict) {
		p := problem(codeUserTaken, "Instance %s has a user %s.", i.Name, u.Name)
		p.Errors = []api.FieldError{{Location: "body.name", Message: "taken"}}
		p.Try = "weir user list " + called(ctx, i)
		return nil, p
	}
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	view := s.user(i.ID, made)
	return &createUserOutput{
		Location: "/v1/instances/" + string(i.ID) + "/users/" + made.Name,
		Revision: strconv.FormatInt(int64(rev), 10),
		Body: api.CreatedUser{
			User:        view,
			Credentials: api.Credentials{Username: view.Username, Password: password},
			ReadyOn:     s.applied(ctx, rev),
		},
	}, nil
}

// findLive is find for what an instance on its way out must not get any more.
func (s *server) findLive(ctx context.Context, p InstancePath) (tenancy.Instance, error) {
	i, err := s.find(ctx, p)
	if err == nil && i.State == tenancy.StateDeleting {
		return i, problem(codeDeleting, "Instance %s is being deleted.", i.Name)
	}
	return i, err
}

// newUser derives the user's keys, once: it is most of the call's time. shown
// is the password if it was generated, else empty.
func (s *server) newUser(b api.CreateUser, prefix string) (u tenancy.User, shown string, err error) {
	password := b.Password
	if password == "" {
		if shown, err = newPassword(s.cfg.Rand); err != nil {
			return tenancy.User{}, "", err
		}
		password = shown
	}
	keys, err := s.cfg.Secrets.NewCredentials(s.cfg.Rand, password)
	switch {
	case errors.Is(err, auth.ErrPassword):
		return tenancy.User{}, "", invalid(api.FieldError{Location: prefix + "password", Message: err.Error()})
	case err != nil:
		return tenancy.User{}, "", err
	}
	return tenancy.User{Name: b.Name, Credentials: keys, CreatedAt: s.cfg.Now().UTC()}, shown, nil
}

type listUsersInput struct {
	InstancePath
	ListInput
}

type listUsersOutput struct{ Body api.Users }

func (s *server) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	users, err := s.cfg.Store.Users(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	from, _ := slices.BinarySearchFunc(users, in.After, func(u tenancy.User, after string) int {
		if u.Name <= after {
			return -1
		}
		return strings.Compare(u.Name, after)
	})
	users = users[from:]
	out := &listUsersOutput{Body: api.Users{Items: []api.User{}}}
	for _, u := range users[:min(in.Limit, len(users))] {
		out.Body.Items = append(out.Body.Items, s.user(i.ID, u))
	}
	if len(users) > in.Limit {
		out.Body.Next = &out.Body.Items[in.Limit-1].Name
	}
	return out, nil
}

type userPath struct {
	InstancePath
	User string `path:"user"`
}

type userOutput struct{ Body api.User }

func (s *server) getUser(ctx context.Context, in *userPath) (*userOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	u, err := s.cfg.Store.User(ctx, i.ID, in.User)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, in.User)
	}
	return &userOutput{Body: s.user(i.ID, u)}, nil
}

type revisionOutput struct {
	Revision string `header:"Weir-Revision"`
}

// deleteUser answers when the gateways have closed the user's connections.
func (s *server) deleteUser(ctx context.Context, in *userPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.DeleteUser(ctx, i.ID, in.User)
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, in.User)
	}
	s.applied(ctx, rev)
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}

// user is what a caller sees of it: nothing of its secrets.
func (s *server) user(i tenancy.InstanceID, u tenancy.User) api.User {
	// Made over Kafka's protocol it may not have credentials for all of them.
	usable := slices.DeleteFunc(slices.Clone(s.cfg.Mechanisms), func(m string) bool { return !auth.CanUse(u, m) })
	return api.User{
		Name: u.Name, Username: s.cfg.Username(i, u.Name), Mechanisms: usable,
		Disabled: u.Disabled, CreatedAt: u.CreatedAt.UTC(), ExpiresAt: atOrNever(u.ExpiresAt), Version: u.Version,
	}
}
