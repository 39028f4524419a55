package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/admin/clientfiles"
	"weir/auth"
	"weir/tenancy"
)

const (
	// maxGrace is how long a password may stay valid beside its successor.
	maxGrace = 7 * 24 * time.Hour
	// changeTries is how often a change is tried that others get ahead of.
	changeTries = 5
)

// Secrets makes what clients prove themselves by; *auth.Authenticator does, whose
// pepper the hashes hang on.
type Secrets interface {
	NewCredentials(random io.Reader, password string) ([]tenancy.Credential, error)
	Rotate(random io.Reader, user tenancy.User, password string, until time.Time) ([]tenancy.Credential, error)
	NewKey(random io.Reader, id tenancy.InstanceID, user tenancy.User, now time.Time) (k tenancy.Key, secret string, err error)
}

func (s *server) credentialRoutes(a huma.API) {
	const user = "/v1/instances/{instance}/users/{user}"
	route(a, "update-user", usersWrite, http.MethodPatch, user, http.StatusOK, s.updateUser)
	route(a, "rotate-user", usersWrite, http.MethodPost, user+"/rotate", http.StatusOK, s.rotateUser)
	route(a, "create-key", usersWrite, http.MethodPost, user+"/keys", http.StatusCreated, s.createKey)
	route(a, "list-keys", usersRead, http.MethodGet, "/v1/instances/{instance}/keys", http.StatusOK, s.listKeys)
	route(a, "delete-key", usersWrite, http.MethodDelete, "/v1/instances/{instance}/keys/{key}", http.StatusNoContent, s.deleteKey)
}

type updateUserInput struct {
	InstancePath
	User string `path:"user"`
	Body api.UpdateUser
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *updateUserInput) Resolve(huma.Context) []error {
	if _, err := expiry(in.Body.ExpiresAt); err != nil {
		return details([]api.FieldError{{Location: "body.expires_at", Message: "expected a time as 2026-12-31T23:00:00Z, or never"}})
	}
	return nil
}

// expiry reads a time of RFC 3339; zero for never.
func expiry(text *string) (time.Time, error) {
	if text == nil || *text == "never" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, *text)
	return at.UTC(), err
}

type updateUserOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.UpdatedUser
}

// updateUser answers when the change is in force: connections of a user that is
// kept out are closed then.
func (s *server) updateUser(ctx context.Context, in *updateUserInput) (*updateUserOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	made, rev, err := s.changeUser(ctx, i, in.User, func(u *tenancy.User) error {
		if in.Body.Disabled != nil {
			u.Disabled = *in.Body.Disabled
		}
		if in.Body.ExpiresAt != nil {
			u.ExpiresAt, _ = expiry(in.Body.ExpiresAt)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &updateUserOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.UpdatedUser{User: s.user(i.ID, made), ReadyOn: s.applied(ctx, rev)},
	}, nil
}

// changeUser changes a user as it is in the store, and again if somebody else was faster.
func (s *server) changeUser(ctx context.Context, i tenancy.Instance, name string, change func(*tenancy.User) error) (tenancy.User, tenancy.Revision, error) {
	for try := 1; ; try++ {
		u, err := s.cfg.Store.User(ctx, i.ID, name)
		if err != nil {
			return tenancy.User{}, 0, s.changed(ctx, err, i.ID, name)
		}
		if err := change(&u); err != nil {
			return tenancy.User{}, 0, err
		}
		made, rev, err := s.cfg.Store.PutUser(ctx, i.ID, u)
		if err = s.written(ctx, err); err == nil {
			return made, rev, nil
		}
		if !errors.Is(err, tenancy.ErrConflict) || try == changeTries {
			return tenancy.User{}, 0, s.changed(ctx, err, i.ID, name)
		}
	}
}

type rotateUserInput struct {
	InstancePath
	User string `path:"user"`
	Body api.RotateUser
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *rotateUserInput) Resolve(huma.Context) []error {
	if d, err := time.ParseDuration(in.Body.Grace); in.Body.Grace != "" && (err != nil || d < 0 || d > maxGrace) {
		return details([]api.FieldError{{Location: "body.grace", Message: "expected a duration from 0s to 168h"}})
	}
	return nil
}

type rotateUserOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.RotatedUser
}

// rotateUser answers when the new password is in force. Without grace, that is when
// the clients of the one before are cut off.
func (s *server) rotateUser(ctx context.Context, in *rotateUserInput) (*rotateUserOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	password, err := newPassword(s.cfg.Rand)
	if err != nil {
		return nil, err
	}
	grace, _ := time.ParseDuration(in.Body.Grace) // Resolve has seen it
	var until time.Time
	if grace > 0 {
		until = s.cfg.Now().UTC().Add(grace).Truncate(time.Second)
	}
	made, rev, err := s.changeUser(ctx, i, in.User, func(u *tenancy.User) (err error) {
		u.Credentials, err = s.cfg.Secrets.Rotate(s.cfg.Rand, *u, password, until)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &rotateUserOutput{Revision: strconv.FormatInt(int64(rev), 10)}
	out.Body.KafkaCredentials, err = s.kafkaCredentials(i, s.cfg.Username(i.ID, made.Name), password, s.passwordMechanism(i.ID))
	if err != nil {
		return nil, err
	}
	for _, cred := range made.Credentials {
		if at := cred.ExpiresAt; !at.IsZero() {
			out.Body.PreviousValidUntil = &at
		}
	}
	out.Body.ReadyOn = s.applied(ctx, rev)
	return out, nil
}

// passwordMechanism is the best one for passwords that the instance lets clients use.
func (s *server) passwordMechanism(id tenancy.InstanceID) string {
	view, ok := s.cfg.Directory.View(id)
	for _, m := range s.cfg.Mechanisms {
		if m != auth.OAuthBearer && (!ok || view.Access.Authentication.Allows(m)) {
			return m
		}
	}
	return s.cfg.Mechanisms[0]
}

// kafkaCredentials is what a client needs to log in.
func (s *server) kafkaCredentials(i tenancy.Instance, username, password, mechanism string) (api.KafkaCredentials, error) {
	view := s.instance(i)
	conn := clientfiles.Connection{
		Bootstrap: view.Bootstrap, Mechanism: mechanism, Username: username, Password: password,
		CA: s.cfg.CA, TLS: !s.cfg.Plaintext,
	}
	properties, err := conn.Properties()
	if err != nil {
		return api.KafkaCredentials{}, fmt.Errorf("client.properties of %s: %w", username, err)
	}
	return api.KafkaCredentials{
		Type: "kafka", Bootstrap: strings.Join(view.Bootstrap, ","), SecurityProtocol: view.SecurityProtocol,
		Mechanism: mechanism, Username: username, Password: password, CA: view.CA, Properties: properties,
	}, nil
}
