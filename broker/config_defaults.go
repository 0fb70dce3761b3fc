package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/configs"
)

// checkDefaults finds what is wrong with broker.configs: only defaults of topic
// configs that no other key of the configuration gives may be there.
func checkDefaults(cfg configs.Broker) error {
	defs := topicDefaults()
	for _, name := range slices.Sorted(maps.Keys(cfg.Configs)) {
		at := slices.IndexFunc(defs, func(d configDef) bool { return d.name == name })
		switch {
		case at < 0:
			return fmt.Errorf("broker.configs: there is no default of a topic config named %s", name)
		case defs[at].static != nil:
			return fmt.Errorf("broker.configs: %s has a key of its own, see docs/broker.md", name)
		}
		if err := defs[at].check(cfg.Configs[name], configs.Broker{}); err != nil {
			return fmt.Errorf("broker.configs: %w", err)
		}
	}
	return nil
}
