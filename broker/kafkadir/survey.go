package kafkadir

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Survey is what of a source can be taken over.
type Survey struct {
	// Replicas in the order of their names.
	Replicas []*Replica
	// Left are things in the directories that do not belong to the node's data any
	// more; nothing is lost without them.
	Left []Finding
	// Gaps are what is missing or damaged: without it the data is incomplete.
	Gaps []Finding
}

// Finding is one thing with what there is to say about it.
type Finding struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Survey looks at all partitions of the source. It reads the ends of logs that
// were not closed in order. progress is called for each partition.
func (s *Source) Survey(progress func(done, total int)) (*Survey, error) {
	v := &Survey{}
	if s.Metadata == nil {
		return v, nil
	}
	found := map[string][]*Replica{}
	for _, d := range s.Dirs {
		if err := s.surveyDir(v, d, found); err != nil {
			return nil, err
		}
	}
	done := 0
	for _, t := range s.Metadata.SortedTopics() {
		if s.Metadata.Configs[ConfigKey{ResourceTopic, t.Name}]["remote.storage.enable"] == "true" {
			v.gap("topic "+t.Name, "its older segments are in tiered storage, which is not read")
		}
		for partition := range int32(len(t.Partitions)) {
			name := replicaName(t.Name, partition)
			s.surveyPartition(v, t, partition, found[name])
			if done += len(found[name]); progress != nil {
				progress(done, len(found))
			}
		}
	}
	slices.SortFunc(v.Replicas, func(a, b *Replica) int { return strings.Compare(a.Name(), b.Name()) })
	return v, nil
}

func (v *Survey) gap(what, why string) { v.Gaps = append(v.Gaps, Finding{what, why}) }

// surveyDir finds the directories of partitions that are in the metadata.
func (s *Source) surveyDir(v *Survey, d *LogDir, found map[string][]*Replica) error {
	entries, err := s.fs.ReadDir(d.Path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == metadataDirName {
			continue
		}
		path := filepath.Join(d.Path, e.Name())
		why, err := s.foreign(path, e.Name())
		if err != nil {
			return err
		}
		if why != "" {
			v.Left = append(v.Left, Finding{path, why})
			continue
		}
		topic, partition, _ := parseReplicaName(e.Name())
		found[e.Name()] = append(found[e.Name()], d.replica(topic, s.Metadata.TopicNamed(topic).ID, partition))
	}
	return nil
}

// foreign says why a directory is not one of a partition of this node; empty
// when it is.
func (s *Source) foreign(path, name string) (why string, err error) {
	switch {
	case strings.HasSuffix(name, "-delete"):
		return "a deleted partition, whose files Kafka had not removed yet", nil
	case strings.HasSuffix(name, "-stray"):
		return "a partition that Kafka had put aside because it was not in the metadata", nil
	case strings.HasSuffix(name, "-future"):
		return "an unfinished move between two log directories; the partition is taken from where it was", nil
	}
	topic, partition, ok := parseReplicaName(name)
	if !ok {
		return "not a partition", nil
	}
	t := s.Metadata.TopicNamed(topic)
	if t == nil {
		return "the metadata has no such topic: it was deleted while the node was down", nil
	}
	id, err := readTopicID(s.fs, path)
	if err != nil {
		return "", err
	}
	if id != (UUID{}) && id != t.ID {
		return fmt.Sprintf("it belongs to an older topic of that name (id %s, now %s)", id, t.ID), nil
	}
	if p := t.Partitions[partition]; p == nil || !slices.Contains(p.Replicas, s.NodeID()) {
		return "the partition was moved to other nodes", nil
	}
	return "", nil
}

// surveyPartition checks the replica of one partition of the metadata.
func (s *Source) surveyPartition(v *Survey, t *Topic, partition int32, found []*Replica) {
	name := replicaName(t.Name, partition)
	p := t.Partitions[partition]
	if p == nil {
		v.gap(name, "the metadata does not say where it is")
		return
	}
	r, err := s.choose(p, found)
	if err != nil {
		v.gap(name, err.Error())
		return
	}
	if r == nil {
		v.gap(name, s.missing(p))
		return
	}
	err = r.list(s.fs)
	if err == nil {
		err = r.verify(s.fs)
	}
	if err == nil {
		r.LeaderEpoch, err = readLeaderEpoch(s.fs, r.Path)
	}
	if err != nil {
		v.gap(name, err.Error())
		return
	}
	if !p.InSync(s.NodeID()) {
		v.gap(name, fmt.Sprintf("this node's replica was not in sync (leader %d, in sync %v): records may be missing at its end", p.Leader, p.ISR))
	}
	if r.Cut != nil && r.Cut.Intact {
		v.gap(name, fmt.Sprintf("%s is damaged at byte %d (%s); Kafka, too, would drop the %d bytes from there on", r.Cut.File, r.Cut.Position, r.Cut.Reason, r.Cut.Bytes))
	}
	if r.short != "" {
		v.gap(name, r.short)
	}
	v.Replicas = append(v.Replicas, r)
}

// missing says why there is no directory of a partition. An empty log that was
// never written has none after a crash, which is no loss, but it is not known.
func (s *Source) missing(p *Partition) string {
	if !slices.Contains(p.Replicas, s.NodeID()) {
		return fmt.Sprintf("it is on nodes %v, not on this one", p.Replicas)
	}
	return "its directory is not in " + strings.Join(s.paths(), ", ")
}

func (s *Source) paths() []string {
	var paths []string
	for _, d := range s.Dirs {
		paths = append(paths, d.Path)
	}
	return paths
}

// choose returns the replica in the directory that the metadata names, where
// there are several.
func (s *Source) choose(p *Partition, found []*Replica) (*Replica, error) {
	if len(found) < 2 {
		if len(found) == 0 {
			return nil, nil
		}
		return found[0], nil
	}
	for _, r := range found {
		for _, d := range s.Dirs {
			if id := p.Directory(s.NodeID()); filepath.Dir(r.Path) == filepath.Clean(d.Path) && d.DirectoryID == id && id != (UUID{}) {
				return r, nil
			}
		}
	}
	return nil, errors.New("two log directories hold it, and the metadata does not say which one counts")
}
