package api

import "time"

// ThrottleScope is whose limit one is.
type ThrottleScope struct {
	User     *string `json:"user,omitempty" doc:"A limit of that user; empty: of every user that has none of its own."`
	ClientID *string `json:"client_id,omitempty" doc:"A limit of that client id; empty: of every client id that has none of its own."`
}

// String is the scope in one line.
func (s ThrottleScope) String() string {
	name := func(kind string, s *string) string {
		if *s == "" {
			return "each " + kind
		}
		return kind + " " + *s
	}
	switch {
	case s.User != nil && s.ClientID != nil:
		return name("user", s.User) + ", " + name("client", s.ClientID)
	case s.User != nil:
		return name("user", s.User)
	case s.ClientID != nil:
		return name("client", s.ClientID)
	}
	return "instance"
}

// What Throttle.Kind may say.
const (
	KindThrottled = "throttled"
	KindRefused   = "refused"
)

// Throttle is what one limit did to one user and client id.
type Throttle struct {
	Limit    string        `json:"limit" example:"produce_bytes_per_second" doc:"Name of the limit."`
	Scope    ThrottleScope `json:"scope" doc:"Whose limit it is: the instance's, if it has neither a user nor a client id."`
	Kind     string        `json:"kind" enum:"throttled,refused" doc:"throttled: the work was done, later. refused: it was not done."`
	User     string        `json:"user,omitempty" doc:"Who was throttled; absent if not known."`
	ClientID string        `json:"client_id,omitempty" doc:"As the client says it, 255 bytes at most."`
	Others   bool          `json:"others,omitempty" doc:"Several users and client ids: those that there was no place for. 64 are told apart in each minute."`
	Count    int64         `json:"count" doc:"How often: requests, or connections."`
	Seconds  float64       `json:"seconds" doc:"How long connections had to wait, added up. What one connection waits counts once, however many of its requests do."`
	Held     float64       `json:"held_seconds" doc:"Those of them that the gateway kept requests waiting; of the others it told the client, by throttle_time_ms."`
	Over     *float64      `json:"by_how_much,omitempty" example:"3.2" doc:"How much was asked for lately on average, in parts of the limit; absent if that is not known, or no more than the limit."`
	First    time.Time     `json:"first"`
	Last     time.Time     `json:"last"`
	Ongoing  bool          `json:"ongoing" doc:"It happened in the last 10 seconds."`
	Since    *time.Time    `json:"since,omitempty" doc:"If it is ongoing: from when on without a pause of 10 seconds."`
}

// ThrottledLimit is what a limit did to all, and what to do about it.
type ThrottledLimit struct {
	Limit     string  `json:"limit"`
	Throttled int64   `json:"throttled" doc:"How often somebody had to wait."`
	Refused   int64   `json:"refused" doc:"How often something was refused."`
	Seconds   float64 `json:"seconds" doc:"How long connections had to wait, added up."`
	Text      string  `json:"text" doc:"What happened, in one sentence."`
	Fix       string  `json:"fix" doc:"What to do about it, in one sentence."`
	Try       string  `json:"try" doc:"A command that shows more."`
}

// Throttles answers GET /v1/instances/{i}/throttles.
type Throttles struct {
	From    time.Time        `json:"from" doc:"What has happened since then counts."`
	Items   []Throttle       `json:"items" nullable:"false" doc:"Those who waited longest first, 500 at most."`
	Omitted int              `json:"omitted" doc:"How many more there are."`
	Limits  []ThrottledLimit `json:"limits" nullable:"false" doc:"All of it, by limit."`
}
