package api

import "time"

// CreateUser is the body of POST /v1/instances/{i}/users.
type CreateUser struct {
	_ struct{} `additionalProperties:"false"`

	Name     string `json:"name" maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$" patternDescription:"1 to 64 of A-Z, a-z, 0-9, . _ -" doc:"Unique within the instance."`
	Password string `json:"password,omitempty" writeOnly:"true" minLength:"8" maxLength:"256" doc:"Generated and shown once if absent."`
}

// User is who may log in to an instance.
type User struct {
	Name       string     `json:"name"`
	Username   string     `json:"username" doc:"What a client must send as its user name."`
	Mechanisms []string   `json:"mechanisms" nullable:"false"`
	Disabled   bool       `json:"disabled"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"From when on the user is kept out. Absent: never."`
	Version    int64      `json:"version"`
}

// CreatedUser answers POST /v1/instances/{i}/users.
type CreatedUser struct {
	User
	Credentials Credentials `json:"credentials"`
	ReadyOn     ReadyOn     `json:"ready_on"`
}

// Users is a page of GET /v1/instances/{i}/users.
type Users struct {
	Items []User  `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}
