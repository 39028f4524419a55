package api

// Alias hands a name that exists in the pool to an instance under another name.
type Alias struct {
	Kind     string `json:"kind" enum:"topic,group,transactional-id"`
	Name     string `json:"name" minLength:"1" maxLength:"32767" doc:"What the instance's clients call it."`
	Physical string `json:"physical" minLength:"1" maxLength:"32767" doc:"What it is called in the pool."`
	ReadOnly bool   `json:"read_only,omitempty" doc:"Share a topic that somebody else owns: it can be read, not written, altered or deleted."`
}

// CreateAlias is one of those to be made.
type CreateAlias struct {
	_ struct{} `additionalProperties:"false"`

	Alias
}

// CreateAliases is the body of POST /v1/instances/{i}/aliases.
type CreateAliases struct {
	_ struct{} `additionalProperties:"false"`

	Aliases []CreateAlias `json:"aliases" nullable:"false" minItems:"1" maxItems:"100" doc:"All or none are made."`
}

// CreatedAliases answers POST /v1/instances/{i}/aliases.
type CreatedAliases struct {
	Items   []Alias `json:"items" nullable:"false"`
	ReadyOn ReadyOn `json:"ready_on"`
}

// Aliases are all that an instance has.
type Aliases struct {
	Items []Alias `json:"items" nullable:"false" doc:"In order of kind and name."`
}
