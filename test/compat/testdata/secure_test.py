"""kafka-python and confluent-kafka over TLS, by SASL and by certificate.

Arguments: address, authority's file, user, password, address for certificates, certificate, key.
"""

import sys

import confluent_kafka
import kafka

sasl, ca, user, password, mutual, cert, key = sys.argv[1:]


def confluent(conf, topic):
    conf = dict(conf, **{"ssl.ca.location": ca})
    failed = []
    p = confluent_kafka.Producer(dict(conf, acks="all"))
    p.produce(topic, b"value", callback=lambda err, _: err and failed.append(err))
    assert p.flush(30) == 0 and not failed, failed
    c = confluent_kafka.Consumer(dict(conf, **{"group.id": topic, "auto.offset.reset": "earliest"}))
    c.subscribe([topic])
    m = c.poll(30)
    assert m is not None and m.error() is None and m.value() == b"value", m
    c.close()


def python(topic, **conf):
    conf = dict(conf, ssl_cafile=ca)
    p = kafka.KafkaProducer(**conf)
    p.send(topic, b"value").get(30)
    p.close()
    c = kafka.KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=30000, **conf)
    assert next(iter(c)).value == b"value"
    c.close()


for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]:
    confluent({
        "bootstrap.servers": sasl, "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
        "sasl.username": user, "sasl.password": password,
    }, "confluent-" + mechanism)
    python("python-" + mechanism, bootstrap_servers=sasl, security_protocol="SASL_SSL", sasl_mechanism=mechanism,
           sasl_plain_username=user, sasl_plain_password=password)
confluent({
    "bootstrap.servers": mutual, "security.protocol": "SSL", "ssl.certificate.location": cert, "ssl.key.location": key,
}, "confluent-certificate")
python("python-certificate", bootstrap_servers=mutual, security_protocol="SSL", ssl_certfile=cert, ssl_keyfile=key)
print("all is well")
