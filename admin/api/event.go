package api

import "time"

// Refusal is what refused connections that are alike had in common: same address,
// endpoint, reason, user and mechanism, within a second or, if they go on, a minute.
type Refusal struct {
	ID       string    `json:"id" doc:"Of the event, in order of writing."`
	Kind     string    `json:"kind" enum:"refused"`
	At       time.Time `json:"at" doc:"Of the newest of them."`
	First    time.Time `json:"first" doc:"Of the oldest of them."`
	Count    int64     `json:"count" doc:"How many connections these were."`
	Instance string    `json:"instance,omitempty" doc:"Id; absent if the connection named none that there is."`
	Tenant   string    `json:"tenant,omitempty" doc:"Of that instance."`
	Gateway  string    `json:"gateway,omitempty" doc:"Which process refused it; only for operators."`
	Address  string    `json:"address,omitempty" doc:"The client's; the /64 of an IPv6 address. Absent if of several." example:"192.0.2.7"`
	Endpoint string    `json:"endpoint,omitempty" doc:"The address of the gateway's listener."`
	// The endpoint is called as in Network.
	Cloud      string `json:"cloud,omitempty" doc:"Of the private endpoint that the client came through."`
	EndpointID string `json:"endpoint_id,omitempty" doc:"Id of that private endpoint." example:"vpce-0a1b2c3d"`

	Host string `json:"host,omitempty" doc:"The host name that the client asked for in the TLS handshake."`
	// Mechanism is as the client named it.
	Mechanism string `json:"mechanism,omitempty" doc:"SASL mechanism, if the client came that far."`
	User      string `json:"user,omitempty" doc:"Who it was, if there is such a user."`
	Reason    string `json:"reason" doc:"Immutable id of the reason." example:"network-refused"`
	Text      string `json:"text,omitempty" doc:"The reason in one sentence."`
	Fix       string `json:"fix,omitempty" doc:"What to do about it, in one sentence."`
	Try       string `json:"try,omitempty" doc:"A command that does it, or that shows more."`
}

// Refusals is a page of GET /v1/events?kind=refused, newest first.
type Refusals struct {
	Items []Refusal `json:"items" nullable:"false"`
	Next  *string   `json:"next" doc:"Pass as ?after= for the next page, of what is older; null at the end."`
}
