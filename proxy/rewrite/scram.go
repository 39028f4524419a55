package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// scramChange is what one request asks of one user.
type scramChange struct {
	user      string
	mechanism string             // whose credential goes, or is replaced
	put       tenancy.Credential // of that mechanism; zero: it goes
	code      int16              // not 0: refused
	text      string
}

func (c *scramChange) refuse(code int16, text string) { c.code, c.text = code, text }

// planSCRAM says what is to be done with each user that the request names, in
// order of the first mention. A code other than 0 is everybody's.
func planSCRAM(req *kmsg.AlterUserSCRAMCredentialsRequest, users map[string]tenancy.User, code int16) []scramChange {
	p := scramPlan{index: map[string]int{}, users: users}
	for _, d := range req.Deletions {
		if c := p.change(d.Name, code); c != nil {
			p.remove(c, d.Mechanism)
		}
	}
	for i := range req.Upsertions {
		if c := p.change(req.Upsertions[i].Name, code); c != nil {
			p.upsert(c, &req.Upsertions[i])
		}
	}
	return p.changes
}

type scramPlan struct {
	changes []scramChange
	index   map[string]int // user → place in changes
	users   map[string]tenancy.User
	created int
}

// change returns the change of a user that is named for the first time; nil if
// there is nothing more to say of it.
func (p *scramPlan) change(user string, code int16) *scramChange {
	if i, ok := p.index[user]; ok {
		if c := &p.changes[i]; c.code == 0 {
			c.refuse(kerr.DuplicateResource.Code, "A user credential cannot be altered twice in the same request")
		}
		return nil
	}
	p.index[user] = len(p.changes)
	p.changes = append(p.changes, scramChange{user: user})
	c := &p.changes[len(p.changes)-1]
	switch {
	case code != 0:
		c.refuse(code, *standardText(code))
	case user == "":
		c.refuse(kerr.UnacceptableCredential.Code, "Username must not be empty")
	default:
		return c
	}
	return nil
}

// mechanismOf refuses a mechanism that is none.
func (c *scramChange) mechanismOf(number int8) bool {
	name, ok := scramName(number)
	if !ok {
		c.refuse(kerr.UnsupportedSaslMechanism.Code, "Unknown SCRAM mechanism")
	}
	c.mechanism = name
	return ok
}

func (p *scramPlan) remove(c *scramChange, mechanism int8) {
	if c.mechanismOf(mechanism) && !hasCredential(p.users[c.user], c.mechanism) {
		c.refuseMissing()
	}
}

func (c *scramChange) refuseMissing() {
	c.refuse(kerr.ResourceNotFound.Code, "Attempt to delete a user credential that does not exist")
}

func hasCredential(u tenancy.User, mechanism string) bool {
	return slices.ContainsFunc(u.Credentials, func(c tenancy.Credential) bool { return c.Mechanism == mechanism })
}

func (p *scramPlan) upsert(c *scramChange, u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) {
	if !c.mechanismOf(u.Mechanism) {
		return
	}
	switch {
	case u.Iterations < auth.MinIterations:
		c.refuse(kerr.UnacceptableCredential.Code, "Too few iterations")
		return
	case u.Iterations > auth.MaxIterations:
		c.refuse(kerr.UnacceptableCredential.Code, "Too many iterations")
		return
	}
	if _, err := tenancy.ParseUserName(c.user); err != nil {
		c.refuse(kerr.UnacceptableCredential.Code, err.Error())
		return
	}
	var err error
	if c.put, err = auth.CredentialFromSalted(c.mechanism, u.Salt, u.SaltedPassword, int(u.Iterations)); err != nil {
		c.refuse(kerr.UnacceptableCredential.Code, err.Error())
		return
	}
	if _, ok := p.users[c.user]; ok {
		return
	}
	if p.created++; len(p.users)+p.created > tenancy.MaxUsers {
		c.refuseFull()
	}
}

func (c *scramChange) refuseFull() {
	c.refuse(kerr.PolicyViolation.Code, fmt.Sprintf("An instance may have %d users at most", tenancy.MaxUsers))
}

// alterTries is how often a change is tried that others get ahead of.
const alterTries = 10

// alterUser makes one change of a user as it was read, and again as it is now
// if somebody else was faster. It returns the revision; 0 if the change was
// refused, or made but not announced.
func (x *Exchange) alterUser(c *scramChange, users map[string]tenancy.User) tenancy.Revision {
	for range alterTries {
		rev, err := x.tryAlter(c, users)
		switch {
		case errors.Is(err, tenancy.ErrConflict), errors.Is(err, tenancy.ErrExists), errors.Is(err, tenancy.ErrNotFound):
			if users, err = x.usersByName(); err != nil {
				c.refuse(storeCode(err), *standardText(storeCode(err)))
				return 0
			}
			continue
		case errors.Is(err, tenancy.ErrFull):
			c.refuseFull()
		case storeCode(err) != 0:
			c.refuse(storeCode(err), *standardText(storeCode(err)))
		}
		return rev
	}
	c.refuse(kerr.RequestTimedOut.Code, *standardText(kerr.RequestTimedOut.Code))
	return 0
}

// tryAlter makes a change. Everything else of the user, such as whether it may
// log in, stays; but what PLAIN is checked against is of the password before, which
// must not outlive it, and we never see the new one.
func (x *Exchange) tryAlter(c *scramChange, users map[string]tenancy.User) (tenancy.Revision, error) {
	user, ok := users[c.user]
	if !ok {
		user = tenancy.User{Name: c.user, CreatedAt: time.Now().UTC()}
	}
	puts := c.put.Mechanism != ""
	if !puts && !hasCredential(user, c.mechanism) {
		c.refuseMissing()
		return 0, nil
	}
	without := func(creds []tenancy.Credential, mechanism string) []tenancy.Credential {
		return slices.DeleteFunc(creds, func(cred tenancy.Credential) bool { return cred.Mechanism == mechanism })
	}
	creds := without(slices.Clone(user.Credentials), c.mechanism)
	if puts {
		creds = append(without(creds, auth.Plain), c.put)
	} else if scram := without(slices.Clone(creds), auth.Plain); len(scram) == 0 {
		creds = nil
	}
	if len(creds) == 0 {
		return x.Store.DeleteUserVersion(x.Ctx, x.Instance, user.Name, user.Version)
	}
	user.Credentials = creds
	_, rev, err := x.Store.PutUser(x.Ctx, x.Instance, user)
	return rev, err
}

// usersByName reads the instance's users.
func (x *Exchange) usersByName() (map[string]tenancy.User, error) {
	users, err := x.Store.Users(x.Ctx, x.Instance)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]tenancy.User, len(users))
	for _, u := range users {
		byName[u.Name] = u
	}
	return byName, nil
}
