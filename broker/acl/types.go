package acl

import (
	"fmt"
	"strings"
)

// ResourceType is a kind of resource, with the codes of Kafka's protocol.
type ResourceType int8

// Kinds of resources. Any is for filters only.
const (
	ResourceUnknown ResourceType = iota
	ResourceAny
	ResourceTopic
	ResourceGroup
	ResourceCluster
	ResourceTransactionalID
	ResourceDelegationToken
	ResourceUser
	resourceTypes
)

// PatternType says how a pattern's name is compared, with the codes of Kafka's protocol.
type PatternType int8

// Kinds of patterns. Any and Match are for filters only: Match finds every
// pattern that the name is a resource of.
const (
	PatternUnknown PatternType = iota
	PatternAny
	PatternMatch
	PatternLiteral
	PatternPrefixed
	patternTypes
)

// Operation is what is done with a resource, with the codes of Kafka's protocol.
type Operation int8

// Operations. Any is for filters only, All for bindings and filters.
const (
	OperationUnknown Operation = iota
	OperationAny
	OperationAll
	Read
	Write
	Create
	Delete
	Alter
	Describe
	ClusterAction
	DescribeConfigs
	AlterConfigs
	IdempotentWrite
	CreateTokens
	DescribeTokens
	TwoPhaseCommit
	operations
)

// Permission is allow or deny, with the codes of Kafka's protocol.
type Permission int8

// Permissions. Any is for filters only.
const (
	PermissionUnknown Permission = iota
	PermissionAny
	Deny
	Allow
	permissions
)

const (
	// Wildcard is the literal name of all resources of a type, and the host of
	// all hosts.
	Wildcard = "*"
	// WildcardPrincipal stands for every principal.
	WildcardPrincipal = "User:*"
	// ClusterName is the name of the one resource of type cluster.
	ClusterName = "kafka-cluster"
)

// Resource is one resource that an operation is asked for.
type Resource struct {
	Type ResourceType
	Name string
}

// Topic is the resource of a topic.
func Topic(name string) Resource { return Resource{ResourceTopic, name} }

// Group is the resource of a consumer group.
func Group(name string) Resource { return Resource{ResourceGroup, name} }

// Cluster is the resource of the cluster.
func Cluster() Resource { return Resource{ResourceCluster, ClusterName} }

// TransactionalID is the resource of a transactional id.
func TransactionalID(id string) Resource { return Resource{ResourceTransactionalID, id} }

// Pattern is the resources that a binding is about.
type Pattern struct {
	Type ResourceType
	Name string
	// Kind is PatternLiteral or PatternPrefixed.
	Kind PatternType
}

// Binding is one access control entry. Bindings are comparable: two that are
// equal are the same.
type Binding struct {
	Pattern
	// Principal is "User:name"; "User:*" is every principal.
	Principal string
	// Host is an address; "*" is every host.
	Host       string
	Operation  Operation
	Permission Permission
}

// SupportedOperations are the operations that a kind of resource has, as a bit set
// by their codes (KIP-430).
func SupportedOperations(t ResourceType) int32 {
	switch t {
	case ResourceTopic:
		return bits(Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs)
	case ResourceGroup:
		return bits(Read, Describe, Delete, DescribeConfigs, AlterConfigs)
	case ResourceCluster:
		return bits(Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe)
	case ResourceTransactionalID:
		return bits(Describe, Write, TwoPhaseCommit)
	case ResourceDelegationToken:
		return bits(Describe)
	case ResourceUser:
		return bits(CreateTokens, DescribeTokens)
	case ResourceUnknown, ResourceAny, resourceTypes:
	}
	return 0
}

func bits(ops ...Operation) int32 {
	var set int32
	for _, op := range ops {
		set |= 1 << op
	}
	return set
}

func resourceTypeNames() []string {
	return []string{"UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"}
}

func patternTypeNames() []string { return []string{"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"} }

func operationNames() []string {
	return []string{
		"UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
		"DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT",
	}
}

func permissionNames() []string { return []string{"UNKNOWN", "ANY", "DENY", "ALLOW"} }

// String returns Kafka's name of the type.
func (t ResourceType) String() string { return nameOf(resourceTypeNames(), t) }

// String returns Kafka's name of the type.
func (t PatternType) String() string { return nameOf(patternTypeNames(), t) }

// String returns Kafka's name of the operation.
func (o Operation) String() string { return nameOf(operationNames(), o) }

// String returns Kafka's name of the permission.
func (p Permission) String() string { return nameOf(permissionNames(), p) }

// MarshalText writes Kafka's name.
func (t ResourceType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText writes Kafka's name.
func (t PatternType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText writes Kafka's name.
func (o Operation) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText writes Kafka's name.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads Kafka's name in any case, with '-' or '_', or without either.
func (t *ResourceType) UnmarshalText(b []byte) error {
	return parse(t, resourceTypeNames(), b, "resource type")
}

// UnmarshalText reads Kafka's name in any case, with '-' or '_', or without either.
func (t *PatternType) UnmarshalText(b []byte) error {
	return parse(t, patternTypeNames(), b, "pattern type")
}

// UnmarshalText reads Kafka's name in any case, with '-' or '_', or without either.
func (o *Operation) UnmarshalText(b []byte) error {
	return parse(o, operationNames(), b, "operation")
}

// UnmarshalText reads Kafka's name in any case, with '-' or '_', or without either.
func (p *Permission) UnmarshalText(b []byte) error {
	return parse(p, permissionNames(), b, "permission")
}

// Known reports whether the type may be in a request: every code but those that
// are unknown to this version.
func (t ResourceType) Known() bool { return t > ResourceUnknown && t < resourceTypes }

// Known reports whether the type may be in a request.
func (t PatternType) Known() bool { return t > PatternUnknown && t < patternTypes }

// Known reports whether the operation may be in a request.
func (o Operation) Known() bool { return o > OperationUnknown && o < operations }

// Known reports whether the permission may be in a request.
func (p Permission) Known() bool { return p > PermissionUnknown && p < permissions }

func nameOf[T ~int8](names []string, v T) string {
	if v < 0 || int(v) >= len(names) {
		return names[0]
	}
	return names[v]
}

func parse[T ~int8](to *T, names []string, text []byte, what string) error {
	fold := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(s)) }
	for i, name := range names[1:] {
		if fold(name) == fold(string(text)) {
			*to = T(i + 1)
			return nil
		}
	}
	return fmt.Errorf("%q is no %s: write one of %s", text, what, strings.ToLower(strings.Join(names[1:], ", ")))
}
