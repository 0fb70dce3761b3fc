package kafkadir

func (*RegisterBrokerRecord) kind() (apiKey, versionMax int16)            { return 0, 3 }
func (*UnregisterBrokerRecord) kind() (apiKey, versionMax int16)          { return 1, 0 }
func (*TopicRecord) kind() (apiKey, versionMax int16)                     { return 2, 0 }
func (*PartitionRecord) kind() (apiKey, versionMax int16)                 { return 3, 2 }
func (*ConfigRecord) kind() (apiKey, versionMax int16)                    { return 4, 0 }
func (*PartitionChangeRecord) kind() (apiKey, versionMax int16)           { return 5, 2 }
func (*FenceBrokerRecord) kind() (apiKey, versionMax int16)               { return 7, 0 }
func (*UnfenceBrokerRecord) kind() (apiKey, versionMax int16)             { return 8, 0 }
func (*RemoveTopicRecord) kind() (apiKey, versionMax int16)               { return 9, 0 }
func (*DelegationTokenRecord) kind() (apiKey, versionMax int16)           { return 10, 0 }
func (*UserScramCredentialRecord) kind() (apiKey, versionMax int16)       { return 11, 0 }
func (*FeatureLevelRecord) kind() (apiKey, versionMax int16)              { return 12, 0 }
func (*ClientQuotaRecord) kind() (apiKey, versionMax int16)               { return 14, 0 }
func (*ProducerIDsRecord) kind() (apiKey, versionMax int16)               { return 15, 0 }
func (*BrokerRegistrationChangeRecord) kind() (apiKey, versionMax int16)  { return 17, 2 }
func (*AccessControlEntryRecord) kind() (apiKey, versionMax int16)        { return 18, 0 }
func (*RemoveAccessControlEntryRecord) kind() (apiKey, versionMax int16)  { return 19, 0 }
func (*NoOpRecord) kind() (apiKey, versionMax int16)                      { return 20, 0 }
func (*ZkMigrationStateRecord) kind() (apiKey, versionMax int16)          { return 21, 0 }
func (*RemoveUserScramCredentialRecord) kind() (apiKey, versionMax int16) { return 22, 0 }
func (*BeginTransactionRecord) kind() (apiKey, versionMax int16)          { return 23, 0 }
func (*EndTransactionRecord) kind() (apiKey, versionMax int16)            { return 24, 0 }
func (*AbortTransactionRecord) kind() (apiKey, versionMax int16)          { return 25, 0 }
func (*RemoveDelegationTokenRecord) kind() (apiKey, versionMax int16)     { return 26, 0 }
func (*RegisterControllerRecord) kind() (apiKey, versionMax int16)        { return 27, 0 }
func (*ClearElrRecord) kind() (apiKey, versionMax int16)                  { return 28, 0 }

func (r *RegisterBrokerRecord) fields(c *codec) {
	c.int32(&r.BrokerID)
	if c.version >= 2 {
		c.bool(&r.IsMigratingZkBroker)
	}
	c.uuid(&r.IncarnationID)
	c.int64(&r.BrokerEpoch)
	c.endpoints(&r.EndPoints)
	c.features(&r.Features)
	c.nullableString(&r.Rack)
	c.bool(&r.Fenced)
	if c.version >= 1 {
		c.bool(&r.InControlledShutdown)
	}
	if c.version < 3 {
		c.tags()
		return
	}
	c.tags(tag{0, len(r.LogDirs) > 0, func() { c.uuids(&r.LogDirs) }})
}

func (c *codec) endpoints(v *[]Endpoint) {
	array(c, v, func(e *Endpoint) {
		c.string(&e.Name)
		c.string(&e.Host)
		c.uint16(&e.Port)
		c.int16(&e.SecurityProtocol)
		c.tags()
	})
}

func (c *codec) features(v *[]FeatureRange) {
	array(c, v, func(f *FeatureRange) {
		c.string(&f.Name)
		c.int16(&f.Min)
		c.int16(&f.Max)
		c.tags()
	})
}

func (r *UnregisterBrokerRecord) fields(c *codec) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	c.tags()
}

func (r *TopicRecord) fields(c *codec) {
	c.string(&r.Name)
	c.uuid(&r.TopicID)
	c.tags()
}

func (r *PartitionRecord) fields(c *codec) {
	c.int32(&r.PartitionID)
	c.uuid(&r.TopicID)
	c.int32s(&r.Replicas)
	c.int32s(&r.ISR)
	c.int32s(&r.Removing)
	c.int32s(&r.Adding)
	c.int32(&r.Leader)
	c.int32(&r.LeaderEpoch)
	c.int32(&r.PartitionEpoch)
	if c.version >= 1 {
		c.uuids(&r.Directories)
	}
	tags := []tag{{0, r.LeaderRecoveryState != 0, func() { c.int8(&r.LeaderRecoveryState) }}}
	if c.version >= 2 {
		tags = append(
			tags,
			tag{1, len(r.EligibleLeaders) > 0, func() { c.int32s(&r.EligibleLeaders) }},
			tag{2, len(r.LastKnownELR) > 0, func() { c.int32s(&r.LastKnownELR) }},
		)
	}
	c.tags(tags...)
}

// change is a tagged array of which null, the default, changes nothing.
func change[T any](c *codec, number uint32, v **[]T, elements func(*[]T)) tag {
	return tag{number, *v != nil, func() {
		if *v == nil {
			*v = new([]T)
		}
		if !c.writing && len(c.b) == 1 && c.b[0] == 0 { // null, said explicitly
			*v, c.b = nil, c.b[1:]
			return
		}
		elements(*v)
	}}
}

func (r *PartitionChangeRecord) fields(c *codec) {
	c.int32(&r.PartitionID)
	c.uuid(&r.TopicID)
	tags := []tag{
		change(c, 0, &r.ISR, c.int32s),
		{1, r.Leader != -2, func() { c.int32(&r.Leader) }},
		change(c, 2, &r.Replicas, c.int32s),
		change(c, 3, &r.Removing, c.int32s),
		change(c, 4, &r.Adding, c.int32s),
		{5, r.LeaderRecoveryState != -1, func() { c.int8(&r.LeaderRecoveryState) }},
	}
	if c.version >= 2 {
		tags = append(tags, change(c, 6, &r.EligibleLeaders, c.int32s), change(c, 7, &r.LastKnownELR, c.int32s))
	}
	if c.version >= 1 {
		tags = append(tags, change(c, 8, &r.Directories, c.uuids))
	}
	c.tags(tags...)
}

func (r *RemoveTopicRecord) fields(c *codec) {
	c.uuid(&r.TopicID)
	c.tags()
}

func (r *ConfigRecord) fields(c *codec) {
	c.int8(&r.ResourceType)
	c.string(&r.ResourceName)
	c.string(&r.Name)
	c.nullableString(&r.Value)
	c.tags()
}

func (r *FenceBrokerRecord) fields(c *codec) {
	c.int32(&r.ID)
	c.int64(&r.Epoch)
	c.tags()
}

func (r *UnfenceBrokerRecord) fields(c *codec) {
	c.int32(&r.ID)
	c.int64(&r.Epoch)
	c.tags()
}

func (r *DelegationTokenRecord) fields(c *codec) {
	c.string(&r.Owner)
	c.string(&r.Requester)
	array(c, &r.Renewers, c.string)
	c.int64(&r.IssueTimestamp)
	c.int64(&r.MaxTimestamp)
	c.int64(&r.ExpirationTimestamp)
	c.string(&r.TokenID)
	c.tags()
}

func (r *RemoveDelegationTokenRecord) fields(c *codec) {
	c.string(&r.TokenID)
	c.tags()
}

func (r *UserScramCredentialRecord) fields(c *codec) {
	c.string(&r.Name)
	c.int8(&r.Mechanism)
	c.bytes(&r.Salt)
	c.bytes(&r.StoredKey)
	c.bytes(&r.ServerKey)
	c.int32(&r.Iterations)
	c.tags()
}

func (r *RemoveUserScramCredentialRecord) fields(c *codec) {
	c.string(&r.Name)
	c.int8(&r.Mechanism)
	c.tags()
}

func (r *FeatureLevelRecord) fields(c *codec) {
	c.string(&r.Name)
	c.int16(&r.Level)
	c.tags()
}

func (r *ClientQuotaRecord) fields(c *codec) {
	array(c, &r.Entity, func(e *QuotaEntity) {
		c.string(&e.Type)
		c.nullableString(&e.Name)
		c.tags()
	})
	c.string(&r.Key)
	c.float64(&r.Value)
	c.bool(&r.Remove)
	c.tags()
}

func (r *ProducerIDsRecord) fields(c *codec) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	c.int64(&r.NextProducerID)
	c.tags()
}

func (r *BrokerRegistrationChangeRecord) fields(c *codec) {
	c.int32(&r.BrokerID)
	c.int64(&r.BrokerEpoch)
	tags := []tag{{0, r.Fenced != 0, func() { c.int8(&r.Fenced) }}}
	if c.version >= 1 {
		tags = append(tags, tag{1, r.InControlledShutdown != 0, func() { c.int8(&r.InControlledShutdown) }})
	}
	if c.version >= 2 {
		tags = append(tags, tag{2, len(r.LogDirs) > 0, func() { c.uuids(&r.LogDirs) }})
	}
	c.tags(tags...)
}

func (r *AccessControlEntryRecord) fields(c *codec) {
	c.uuid(&r.ID)
	c.int8(&r.ResourceType)
	c.string(&r.ResourceName)
	c.int8(&r.PatternType)
	c.string(&r.Principal)
	c.string(&r.Host)
	c.int8(&r.Operation)
	c.int8(&r.PermissionType)
	c.tags()
}

func (r *RemoveAccessControlEntryRecord) fields(c *codec) {
	c.uuid(&r.ID)
	c.tags()
}

func (*NoOpRecord) fields(c *codec) { c.tags() }

func (r *ZkMigrationStateRecord) fields(c *codec) {
	c.int8(&r.State)
	c.tags()
}

func (r *BeginTransactionRecord) fields(c *codec) {
	c.tags(tag{0, r.Name != nil, func() { c.nullableString(&r.Name) }})
}

func (*EndTransactionRecord) fields(c *codec) { c.tags() }

func (r *AbortTransactionRecord) fields(c *codec) {
	c.tags(tag{0, r.Reason != nil, func() { c.nullableString(&r.Reason) }})
}

func (r *RegisterControllerRecord) fields(c *codec) {
	c.int32(&r.ControllerID)
	c.uuid(&r.IncarnationID)
	c.bool(&r.ZkMigrationReady)
	c.endpoints(&r.EndPoints)
	c.features(&r.Features)
	c.tags()
}

func (r *ClearElrRecord) fields(c *codec) {
	c.string(&r.TopicName)
	c.tags()
}
