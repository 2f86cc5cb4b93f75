"""`stroke connectors render`: the connectors for a Kafka Connect that an operator runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def render(
    *,
    cluster_id: Annotated[
        str,
        typer.Option(
            "--cluster-id",
            metavar="ID",
            help="The Kafka cluster's id: part of the name of the Iceberg sink's control topic.",
        ),
    ],
) -> None:
    """Print the connectors as `apply` would send them, as values for deploy/helm/stroke.

    Does not contact Kafka or Connect. Refuses wrong values, as far as it can without asking
    Connect. Secrets stay names: ${env:...}.

    \b
    stroke connectors render --cluster-id "$(kubectl get kafka stroke -o jsonpath={.status.clusterId})" > connectors.json
    helm upgrade --install stroke deploy/helm/stroke --values my.yaml --values connectors.json
    """  # noqa: D301, E501
    from stroke.adapters.kafka_connect.chart_values import chart_values
    from stroke.application.pipeline.connector_topics import own_topics
    from stroke.application.pipeline.connectors import checked
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import connector_files

    settings = PipelineSettings.load()
    specs = checked(connector_files(settings), cluster_id)
    topics = {name: kept for spec in specs for name, kept in own_topics(spec.config).items()}
    values = chart_values(specs, topics, replication_factor=settings.kafka.replication_factor)
    typer.echo(json.dumps(values, indent=2))
