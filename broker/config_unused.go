package broker

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unusedConfigs are Kafka's dynamic broker configs that have nothing to do on this
// node: threads that it does not have, logins by Kerberos or OAuth that it does not
// make, tiered storage. They can be set, are kept, and are described, as Kafka does,
// so that programs that set them work.
//
// Configs of security, such as ssl.client.auth, are not among them: who sets one relies
// on it.
func unusedConfigs() []configDef {
	const (
		threads  = "There are no threads of that kind."
		kerberos = "There is no Kerberos."
		login    = "This node logs in nowhere."
		tiered   = "There is no tiered storage."
		top      = math.MaxInt64
	)
	number := func(name, def string) configDef {
		return configDef{name: name, kind: doubleType, def: def, min: math.MinInt64, max: math.MaxInt64}
	}
	seconds := func(name, def string) configDef {
		return configDef{name: name, kind: kmsg.ConfigTypeShort, def: def, min: math.MinInt16, max: math.MaxInt16}
	}
	serviceName := text("sasl.kerberos.service.name", "").ofOneBroker().says(kerberos)
	serviceName.unset = true
	defs := []configDef{
		integer("background.threads", "10", 1, top).says(threads),
		integer("max.connection.creation.rate", "2147483647", 0, top).says("New connections are limited by address: kafka-configs --entity-type ips."),
		list("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter").says("Metrics are read over HTTP."),
		integer("num.io.threads", "8", 1, top).says(threads),
		integer("num.network.threads", "3", 1, top).says(threads),
		integer("num.recovery.threads.per.data.dir", "2", 1, top).says(threads),
		integer("num.replica.fetchers", "1", 1, top).says("A partition has one replica."),
		integer("remote.fetch.max.wait.ms", "500", 1, top).says(tiered),
		long("remote.list.offsets.request.timeout.ms", "30000", 1, top).says(tiered),
		long("remote.log.index.file.cache.total.size.bytes", "1073741824", 1, top).says(tiered),
		integer("remote.log.manager.copier.thread.pool.size", "10", 1, top).says(tiered),
		long("remote.log.manager.copy.max.bytes.per.second", maxInt64Text, 1, top).says(tiered),
		integer("remote.log.manager.expiration.thread.pool.size", "10", 1, top).says(tiered),
		long("remote.log.manager.fetch.max.bytes.per.second", maxInt64Text, 1, top).says(tiered),
		integer("remote.log.reader.threads", "10", 1, top).says(tiered),
		text("sasl.kerberos.kinit.cmd", "/usr/bin/kinit").ofOneBroker().says(kerberos),
		long("sasl.kerberos.min.time.before.relogin", "60000", math.MinInt64, top).ofOneBroker().says(kerberos),
		list("sasl.kerberos.principal.to.local.rules", "DEFAULT").ofOneBroker().says(kerberos),
		serviceName,
		number("sasl.kerberos.ticket.renew.jitter", "0.05").ofOneBroker().says(kerberos),
		number("sasl.kerberos.ticket.renew.window.factor", "0.8").ofOneBroker().says(kerberos),
		seconds("sasl.login.refresh.buffer.seconds", "300").ofOneBroker().says(login),
		seconds("sasl.login.refresh.min.period.seconds", "60").ofOneBroker().says(login),
		number("sasl.login.refresh.window.factor", "0.8").ofOneBroker().says(login),
		number("sasl.login.refresh.window.jitter", "0.05").ofOneBroker().says(login),
	}
	for i := range defs {
		defs[i].effect, defs[i].dynamic = effectNone, true
	}
	return defs
}
