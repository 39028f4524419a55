package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of issuers: every gateway holds them in memory, with their keys.
const (
	// MaxIssuers is how many an instance may have.
	MaxIssuers = 16
	// maxIssuerURL bounds an issuer's addresses, in bytes.
	maxIssuerURL = 512
	// maxIssuerTexts and maxIssuerText bound each of the lists of an issuer, and
	// each text in them, in bytes.
	maxIssuerTexts = 32
	maxIssuerText  = 256
)

// ErrIssuer is of an issuer that cannot be: the text says why, and names nothing but what was sent.
var ErrIssuer = errors.New("invalid issuer")

// Check wraps ErrIssuer if there can be no such issuer. Whether the operator
// allows it is not asked here.
func (i Issuer) Check() error {
	checks := []error{checkWord("name", i.Name), CheckIssuerURL("url", i.URL)}
	if i.JWKSURL != "" {
		checks = append(checks, CheckIssuerURL("jwks_url", i.JWKSURL))
	}
	checks = append(checks, checkIssuerTexts("audiences", i.Audiences), checkIssuerTexts("scopes", i.Scopes),
		checkIssuerText("principal_claim", i.PrincipalClaim, true))
	if len(i.Audiences) == 0 {
		checks = append(checks, errors.New("audiences are empty: a token for anybody else would do"))
	}
	if len(i.Claims) > maxIssuerTexts {
		checks = append(checks, fmt.Errorf("claims are %d, at most %d are allowed", len(i.Claims), maxIssuerTexts))
	}
	for _, scope := range i.Scopes {
		if strings.Contains(scope, " ") {
			checks = append(checks, fmt.Errorf("scope %.80q has a space in it: give each one by itself", scope))
		}
	}
	for claim, value := range i.Claims {
		checks = append(checks, checkIssuerText("name of a claim", claim, false), checkIssuerText("value of claim "+claim, value, true))
	}
	if err := oneLine(checks); err != nil {
		return fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	return nil
}

// CheckIssuerURL says why an address cannot be that of an issuer or of its keys:
// absolute, in its plain form, so that a prefix of it means what it seems to mean.
// Whether http will do, for a loopback address, auth.AllowedIssuer says.
func CheckIssuerURL(what, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return fmt.Errorf("%s is empty", what)
	case len(raw) > maxIssuerURL:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", what, len(raw), maxIssuerURL)
	case err != nil || u.Opaque != "" || u.Hostname() == "" || u.String() != raw:
		return fmt.Errorf("%s %.80q is not an address like https://login.example.com/realms/one", what, raw)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%s %.80q must begin with https://", what, raw)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%s %.80q must have no user, query or fragment", what, raw)
	case strings.ContainsAny(raw, "%\\") || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./"):
		return fmt.Errorf("%s %.80q must have a plain path, without %%, //, . or .. in it", what, raw)
	}
	return nil
}

func checkIssuerTexts(what string, all []string) error {
	if len(all) > maxIssuerTexts {
		return fmt.Errorf("%s are %d, at most %d are allowed", what, len(all), maxIssuerTexts)
	}
	for _, text := range all {
		if err := checkIssuerText("one of "+what, text, false); err != nil {
			return err
		}
	}
	return nil
}

func checkIssuerText(what, text string, mayBeEmpty bool) error {
	switch {
	case text == "" && !mayBeEmpty:
		return fmt.Errorf("%s is empty", what)
	case len(text) > maxIssuerText:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", what, len(text), maxIssuerText)
	case !utf8.ValidString(text) || strings.IndexFunc(text, unicode.IsControl) >= 0:
		return fmt.Errorf("%s must be UTF-8 without control characters", what)
	}
	return nil
}

// Issuers lists an instance's issuers in order of name; ErrNotFound if there is
// no such instance.
func (s *Store) Issuers(ctx context.Context, id InstanceID) ([]Issuer, error) {
	fields, err := s.settings(ctx, id, settingsIssuers)
	if err != nil {
		return nil, err
	}
	return decodeSettings[Issuer](id, settingsIssuers, fields)
}

// PutIssuer creates an issuer or replaces the one of that name, whose creation
// time stays. Beside ErrIssuer: ErrExists if the instance has an issuer of that URL
// under another name (of two made at the same time the first by name counts),
// ErrFull beyond MaxIssuers, ErrNotFound without such an instance. With
// ErrUnannounced it was written all the same.
func (s *Store) PutIssuer(ctx context.Context, id InstanceID, i Issuer) (Issuer, Revision, error) {
	if err := i.Check(); err != nil {
		return Issuer{}, 0, err
	}
	all, err := s.Issuers(ctx, id)
	if err != nil {
		return Issuer{}, 0, err
	}
	i.CreatedAt = i.CreatedAt.UTC().Round(0)
	for _, was := range all {
		switch {
		case was.Name == i.Name:
			i.CreatedAt = was.CreatedAt
		case was.URL == i.URL:
			return Issuer{}, 0, fmt.Errorf("instance %s: issuer %s of %.80q: %w", id, was.Name, i.URL, ErrExists)
		}
	}
	raw, err := json.Marshal(i)
	if err != nil {
		return Issuer{}, 0, fmt.Errorf("issuer %s of instance %s: %w", i.Name, id, err)
	}
	rev, err := s.change(ctx, id, settingsChange{kind: settingsIssuers, most: MaxIssuers, put: map[string]string{i.Name: string(raw)}})
	return i, rev, err
}

// DeleteIssuer removes an issuer; ErrNotFound if there is none.
func (s *Store) DeleteIssuer(ctx context.Context, id InstanceID, name string) (Revision, error) {
	return s.change(ctx, id, settingsChange{kind: settingsIssuers, remove: []string{name}, when: whenThere})
}
