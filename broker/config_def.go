package broker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs"
)

// configEffect says what this broker does with a config.
type configEffect uint8

const (
	// effectHonoured configs can be set and do what Kafka's documentation says.
	effectHonoured configEffect = iota
	// effectNone configs can be set and are kept, but there is nothing for them to do
	// on this broker: what they would bound happens sooner, later or never.
	effectNone
	// effectFixed configs have one value here; setting another one is refused.
	effectFixed
)

// configDef describes one config of a topic or broker.
type configDef struct {
	name   string
	kind   kmsg.ConfigType
	effect configEffect
	// def is Kafka's default, static what the configuration file makes of it.
	def    string
	static func(configs.Broker) string
	// broker is the name of the broker config that gives a topic config its
	// default; empty when there is none.
	broker string
	// hours is the name under which Kafka gives the default, in hours, of a
	// time in milliseconds.
	hours string
	// min and max bound numbers; values bounds words of a string or list.
	min, max int64
	values   []string
	// dynamic broker configs can be set while the broker runs; those that are
	// perBroker not for all brokers at once.
	dynamic, perBroker bool
	// unset configs have no default: Kafka describes them with a null.
	unset bool
	// hidden configs have no default either, and are described only where they are set.
	hidden bool
	doc    string
}

const maxInt64Text = "9223372036854775807"

func long(name, def string, lo, hi int64) configDef {
	return configDef{name: name, kind: kmsg.ConfigTypeLong, def: def, min: lo, max: hi}
}

func integer(name, def string, lo, hi int64) configDef {
	return configDef{name: name, kind: kmsg.ConfigTypeInt, def: def, min: lo, max: hi}
}

func boolean(name, def string) configDef {
	return configDef{name: name, kind: kmsg.ConfigTypeBoolean, def: def}
}

func text(name, def string, values ...string) configDef {
	return configDef{name: name, kind: kmsg.ConfigTypeString, def: def, values: values}
}

func list(name, def string, values ...string) configDef {
	return configDef{name: name, kind: kmsg.ConfigTypeList, def: def, values: values}
}

func (d configDef) from(broker string) configDef       { d.broker = broker; return d }
func (d configDef) does(effect configEffect) configDef { d.effect = effect; return d }
func (d configDef) ofOneBroker() configDef             { d.perBroker = true; return d }
func (d configDef) whereSet() configDef                { d.hidden = true; return d }
func (d configDef) whileRunning() configDef            { d.dynamic = true; return d }
func (d configDef) says(doc string) configDef          { d.doc = doc; return d }
func (d configDef) set(f func(configs.Broker) string) configDef {
	d.static = f
	return d
}

// startValue is the value without anything set while the broker runs.
func (d *configDef) startValue(cfg configs.Broker) string {
	if d.static != nil {
		return d.static(cfg)
	}
	if value, ok := cfg.Configs[d.name]; ok {
		return value
	}
	return d.def
}

// check says what is wrong with a value, nil when it can be set.
func (d *configDef) check(value string, cfg configs.Broker) error {
	if err := d.checkForm(value); err != nil {
		return err
	}
	if d.effect == effectFixed && value != d.startValue(cfg) {
		return fmt.Errorf("Invalid value %s for configuration %s: this broker supports only %q. %s", value, d.name, d.startValue(cfg), d.doc) //nolint:staticcheck // Kafka's words, shown to users as they are
	}
	return nil
}

func (d *configDef) checkForm(value string) error {
	shown := strings.TrimSpace(value)
	invalid := func(why string) error {
		return fmt.Errorf("Invalid value %s for configuration %s: %s", shown, d.name, why) //nolint:staticcheck // Kafka's words, shown to users as they are
	}
	switch d.kind {
	case kmsg.ConfigTypeLong, kmsg.ConfigTypeInt, kmsg.ConfigTypeShort:
		v, err := strconv.ParseInt(strings.TrimSpace(value), 10, bitsOf(d.kind))
		switch {
		case err != nil:
			return invalid("Not a number of type " + d.kind.String())
		case v < d.min:
			return invalid("Value must be at least " + strconv.FormatInt(d.min, 10))
		case v > d.max:
			return invalid("Value must be no more than " + strconv.FormatInt(d.max, 10))
		}
	case kmsg.ConfigTypeDouble:
		v, err := strconv.ParseFloat(shown, 64)
		if err != nil || math.IsNaN(v) {
			return invalid("Not a number of type DOUBLE")
		}
		shown = javaDouble(v)
		switch {
		case v < float64(d.min):
			return invalid("Value must be at least " + strconv.FormatInt(d.min, 10))
		case v > float64(d.max):
			return invalid("Value must be no more than " + strconv.FormatInt(d.max, 10))
		}
	case kmsg.ConfigTypeBoolean:
		if v := strings.ToLower(shown); v != "true" && v != "false" {
			shown = value // Kafka trims numbers and words only
			return invalid("Expected value to be either true or false")
		}
	case kmsg.ConfigTypeString, kmsg.ConfigTypeList:
		return d.checkWords(value, invalid)
	}
	return nil
}

// javaDouble writes a number as Java does: with a point, and from 10,000,000 on with an exponent.
func javaDouble(v float64) string {
	if math.Abs(v) < 1e7 && math.Abs(v) >= 1e-3 || v == 0 {
		if text := strconv.FormatFloat(v, 'f', -1, 64); strings.Contains(text, ".") {
			return text
		}
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'E', -1, 64), "E")
	if !strings.Contains(digits, ".") {
		digits += ".0"
	}
	return digits + "E" + strings.TrimPrefix(exponent, "+")
}

// bitsOf is the size of an integer type.
func bitsOf(kind kmsg.ConfigType) int {
	switch kind {
	case kmsg.ConfigTypeShort:
		return 16
	case kmsg.ConfigTypeInt:
		return 32
	default:
		return 64
	}
}

func (d *configDef) checkWords(value string, invalid func(string) error) error {
	if len(d.values) == 0 {
		return nil
	}
	words := []string{value}
	if d.kind == kmsg.ConfigTypeList {
		words = splitList(value)
	}
	for _, w := range words {
		if !slices.Contains(d.values, w) {
			return invalid("String must be one of: " + strings.Join(d.values, ", "))
		}
	}
	return nil
}

// splitList splits a list config at its commas, without empty words.
func splitList(value string) []string {
	var words []string
	for w := range strings.SplitSeq(value, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}
