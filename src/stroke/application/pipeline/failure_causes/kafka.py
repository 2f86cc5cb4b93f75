"""Why a connector fails at Kafka, at Connect, or at what is below all of them."""

from __future__ import annotations

from typing import Final

from stroke.application.pipeline.failure_causes.entries import (
    GOES_ON,
    PLACE,
    RECORD,
    Entry,
)

EVENTS: Final = (
    Entry(
        RECORD,
        "a change event is larger than Kafka takes",
        "run `stroke connectors apply`, which raises the limits to "
        "STROKE_KAFKA_MAX_RECORD_BYTES; docs/operations.md#a-row-is-too-large",
        "",
        r"org\.apache\.kafka\.common\.errors\.RecordTooLargeException",
    ),
    Entry(
        RECORD,
        "the column {name} has a type that the copies do not take",
        "change the column back in MySQL, then run `stroke pipeline dlq replay`",
        r"column (?P<name>\w{1,64}) is (\w+, was |\w+, but the sink needs )\w+$",
        r"org\.apache\.kafka\.connect\.errors\.DataException",
    ),
    Entry(
        RECORD,
        "the text in the column {name} is longer than the copies take",
        "shorten it in MySQL, then run `stroke pipeline dlq replay`",
        r"column (?P<name>\w{1,64}) is longer than \d+ characters$",
        r"org\.apache\.kafka\.connect\.errors\.DataException",
    ),
)

CLUSTER: Final = (
    Entry(
        PLACE,
        "Kafka refuses the account",
        "check the account's rights on the topics",
        "",
        r"org\.apache\.kafka\.common\.errors\.\w*(Authorization|Authentication)Exception",
    ),
    Entry(
        PLACE,
        "Kafka does not answer in time",
        "docs/operations.md#kafka-does-not-answer",
        "",
        r"org\.apache\.kafka\.common\.errors\.(Timeout|NotEnoughReplicas\w*|Disconnect|"
        r"BrokerNotAvailable|UnknownTopicOrPartition)Exception",
    ),
    Entry(
        PLACE,
        "another task of the same connector has taken over",
        "nothing, if it happens once; otherwise end the second Connect cluster",
        "",
        r"org\.apache\.kafka\.common\.errors\.(ProducerFenced|InvalidProducerEpoch)Exception",
    ),
    Entry(
        PLACE,
        "Connect's memory is full",
        "raise STROKE_CONNECT_HEAP; docs/operations.md#kafka-connect-does-not-answer",
        "",
        r"java\.lang\.OutOfMemoryError",
    ),
    Entry(
        PLACE,
        "a setting of the connector is wrong, or names what Connect does not have",
        "`stroke connectors apply --dry-run` names it",
        "",
        r"org\.apache\.kafka\.common\.config\.ConfigException",
    ),
    Entry(
        PLACE,
        "a class is missing in Connect",
        "use the image that deploy/images/kafka builds, of the same version",
        "",
        r"java\.lang\.(NoClassDefFoundError|ClassNotFoundException|NoSuchMethodError)",
    ),
    Entry(
        PLACE,
        "a host's name is not known where Connect runs",
        "check the addresses in the settings, and the network's name service",
        "",
        r"java\.net\.UnknownHostException",
    ),
    Entry(
        PLACE,
        "an address to which the connector writes refuses connections, or does not answer",
        f"start what is there, and check the address; {GOES_ON}",
        r"(Connection refused|connect timed out|Connection timed out|No route to host"
        r"|Network is unreachable|Connection reset)",
        r"java\.net\.\w+",
    ),
)
