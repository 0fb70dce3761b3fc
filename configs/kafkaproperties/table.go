package kafkaproperties

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/millrace/millrace/configs"
)

// elsewhere are the keys that more than one of Kafka's make, or none.
func elsewhere() map[string]Key {
	return map[string]Key{
		"listen":                                  {Name: "listeners", Differs: "one listener, without its name"},
		"advertised":                              {Name: "advertised.listeners", Differs: "that of `listen`"},
		"listeners[].name":                        {Name: "listeners, listener.security.protocol.map"},
		"listeners[].listen":                      {Name: "listeners", Differs: "controller.listener.names are left out"},
		"listeners[].advertised":                  {Name: "advertised.listeners"},
		"listeners[].tls.cert_file":               {Name: "ssl.keystore.location", Differs: "PEM"},
		"listeners[].tls.key_file":                {Name: "ssl.keystore.location", Differs: "PEM, without a password"},
		"listeners[].tls.client_ca_file":          {Name: "ssl.truststore.location", Differs: "PEM"},
		"listeners[].tls.client_auth":             {Name: "ssl.client.auth"},
		"listeners[].tls.min_version":             {Name: "ssl.enabled.protocols", Differs: "the oldest of them"},
		"listeners[].tls.principal_mapping_rules": {Name: "ssl.principal.mapping.rules"},
		"listeners[].sasl.mechanisms":             {Name: "sasl.enabled.mechanisms", Differs: "no GSSAPI, no OAUTHBEARER"},
		"listeners[].sasl.reauth_max":             {Name: "connections.max.reauth.ms"},
		"listeners[].sasl.users[].name":           {Name: "plain.sasl.jaas.config"},
		"listeners[].sasl.users[].password":       {Name: "plain.sasl.jaas.config"},
		"listeners[].connections_max":             {Name: "listener.name.<name>.max.connections"},
		"inter_broker_listener":                   {Name: "inter.broker.listener.name, security.inter.broker.protocol"},
		"cleaner.threads":                         {Name: "log.cleaner.threads, log.cleaner.enable", Differs: "0 is off"},
		"durability":                              {Differs: "Kafka leaves it to the operating system, as `os` does"},
		"configs":                                 {Name: strings.Join(TopicDefaults(), ", ")},
	}
}

// Table is the table of all keys of the broker's configuration, in Markdown.
func Table(defaults configs.Broker) string {
	names, differs := map[string][]string{}, map[string]string{}
	for _, k := range Keys() {
		names[k.YAML] = append(names[k.YAML], k.Name)
		if k.Differs != "" {
			differs[k.YAML] = k.Differs
		}
	}
	for key, k := range elsewhere() {
		names[key], differs[key] = splitNonEmpty(k.Name, ","), k.Differs
	}
	var out strings.Builder
	out.WriteString("| key | Kafka's name | default | what differs |\n|---|---|---|---|\n")
	walk("", reflect.ValueOf(defaults), func(key string, value reflect.Value) {
		kafka := "–"
		if list := names[key]; len(list) > 0 {
			kafka = "`" + strings.Join(list, "` `") + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", key, kafka, show(value), differs[key])
	})
	return out.String()
}

// walk yields the keys of a structure as they are written in YAML, those of
// structures within it and of the elements of lists too.
func walk(prefix string, v reflect.Value, yield func(key string, value reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		key, field := prefix+name, v.Field(i)
		switch {
		case field.Kind() == reflect.Struct:
			walk(key+".", field, yield)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			walk(key+"[].", reflect.Zero(field.Type().Elem()), yield)
		default:
			yield(key, field)
		}
	}
}

func show(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && !v.CanInt() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}
