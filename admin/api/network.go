package api

// Network is one of the places from which an instance may be reached: a range of
// addresses, a private endpoint, or a range behind a private endpoint. A range
// without an endpoint says nothing of clients that come through one.
type Network struct {
	_ struct{} `additionalProperties:"false"`

	CIDR     string `json:"cidr,omitempty" maxLength:"64" example:"10.1.0.0/16" doc:"A range of addresses, or one address. Absent with an endpoint: every address behind it."`
	Endpoint string `json:"endpoint,omitempty" maxLength:"128" example:"vpce-0a1b2c3d" doc:"Id of a private endpoint."`
	Cloud    string `json:"cloud,omitempty" maxLength:"32" example:"aws" doc:"The endpoint's: aws, azure, gcp, or what the operator calls another one."`
	Comment  string `json:"comment,omitempty" maxLength:"200"`
}

// String is the network in one line, without its comment.
func (n Network) String() string {
	switch {
	case n.Endpoint == "":
		return n.CIDR
	case n.CIDR == "":
		return n.Cloud + "/" + n.Endpoint
	}
	return n.CIDR + " behind " + n.Cloud + "/" + n.Endpoint
}

// Networks is the whole list: the answer to GET and the body of PUT
// /v1/instances/{i}/networks.
type Networks struct {
	_ struct{} `additionalProperties:"false"`

	Allow   []Network `json:"allow" nullable:"false" maxItems:"5000"`
	Default string    `json:"default,omitempty" readOnly:"true" enum:"allow,deny" doc:"What the instance's plan says while the list is empty: everybody may connect, or nobody. PUT ignores it."`
}

// AddNetworks is the body of POST /v1/instances/{i}/networks. They are added
// together or not at all; one that is there already gets the comment.
type AddNetworks struct {
	_ struct{} `additionalProperties:"false"`

	Allow []Network `json:"allow" nullable:"false" minItems:"1" maxItems:"5000"`
}

// ChangedNetworks answers PUT, POST and DELETE /v1/instances/{i}/networks.
type ChangedNetworks struct {
	Items   []Network `json:"items" nullable:"false" doc:"The new list, or those that were added or removed."`
	ReadyOn ReadyOn   `json:"ready_on"`
}

// CheckNetwork is the body of POST /v1/instances/{i}/networks/check.
type CheckNetwork struct {
	_ struct{} `additionalProperties:"false"`

	Address  string `json:"address" minLength:"1" maxLength:"64" example:"10.1.2.3" doc:"The client's."`
	Endpoint string `json:"endpoint,omitempty" maxLength:"128" doc:"Id of the private endpoint that it comes through."`
	Cloud    string `json:"cloud,omitempty" maxLength:"32" doc:"The endpoint's."`
}

// What CheckedNetwork.By may say.
const (
	ByNetwork     = "network"
	ByPlanDefault = "plan default"
	ByNoNetwork   = "no network"
)

// CheckedNetwork answers POST /v1/instances/{i}/networks/check.
type CheckedNetwork struct {
	Allowed bool     `json:"allowed"`
	By      string   `json:"by" enum:"network,plan default,no network" doc:"What decides."`
	Network *Network `json:"network,omitempty" doc:"The narrowest that has the address, if by is network."`
}
