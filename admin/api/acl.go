package api

// ACL allows or denies a principal of one instance an operation on some of its
// resources. All names are the instance's own.
type ACL struct {
	_ struct{} `additionalProperties:"false"`

	ResourceType string `json:"resource_type" enum:"topic,group,cluster,transactional-id"`
	ResourceName string `json:"resource_name" minLength:"1" maxLength:"512" doc:"Of the resource, or what its name begins with if pattern_type is prefixed; * for all of the type; kafka-cluster for the cluster."`
	PatternType  string `json:"pattern_type,omitempty" enum:"literal,prefixed" default:"literal"`
	Principal    string `json:"principal" minLength:"1" maxLength:"512" example:"User:alice" doc:"User:NAME, or User:* for every user."`
	Host         string `json:"host,omitempty" maxLength:"64" default:"*" doc:"The client's IP address, or *."`
	Operation    string `json:"operation" enum:"all,read,write,create,delete,alter,describe,cluster-action,describe-configs,alter-configs,idempotent-write" doc:"One that the type of resource has."`
	Permission   string `json:"permission,omitempty" enum:"allow,deny" default:"allow" doc:"A deny beats every allow."`
}

// String is the ACL in one line.
func (a ACL) String() string {
	name, host := a.ResourceName, ""
	if a.PatternType == "prefixed" {
		name += "..."
	}
	if a.Host != "*" {
		host = "@" + a.Host
	}
	return a.Permission + " " + a.Principal + host + " " + a.Operation + " " + a.ResourceType + ":" + name
}

// CreateACLs is the body of POST /v1/instances/{i}/acls. They are made together
// or not at all; one that is there already is no mistake.
type CreateACLs struct {
	_ struct{} `additionalProperties:"false"`

	ACLs []ACL `json:"acls" minItems:"1" maxItems:"1000"`
}

// ACLs answers GET /v1/instances/{i}/acls: all that were asked for.
type ACLs struct {
	Items []ACL `json:"items" nullable:"false"`
}

// ChangedACLs answers POST and DELETE /v1/instances/{i}/acls.
type ChangedACLs struct {
	Items   []ACL   `json:"items" nullable:"false" doc:"Those that were added, or removed."`
	ReadyOn ReadyOn `json:"ready_on"`
}
