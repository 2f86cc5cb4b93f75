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
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import connector_chart_values

    values = connector_chart_values(PipelineSettings.load(), cluster_id)
    typer.echo(json.dumps(values, indent=2))
