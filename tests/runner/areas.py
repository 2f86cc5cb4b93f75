"""Which tests are the gate, which the soak, and which area each module belongs to.

The gate is what ``./test.sh`` and CI run before a change lands. The soak repeats recoveries and
large sizes, for hours if need be: ``./test.sh --soak`` runs both. A test belongs to the soak when
it, or its module, is marked ``soak`` with a reason; every other test belongs to the gate. Both
read ``AREAS``: a module of tests/integration or tests/spark that stands in no area fails the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final

import pytest

ALL: Final = "all"
_UNIT: Final = "unit"
_TESTS: Final = Path(__file__).resolve().parents[1]
# tests/unit is one area by its folder.
AREAS: Final = {
    "service": frozenset(
        {
            "test_access",
            "test_cds_tokens",
            "test_clinical_browser",
            "test_clinical_service",
            "test_clinical_soak",
            "test_database_connections",
            "test_database_grants",
            "test_database_copy",
            "test_drift_command",
            "test_drift_evidently",
            "test_edge",
            "test_faults",
            "test_fhir_peers",
            "test_files_between_commands",
            "test_gaps_end_to_end",
            "test_http_crowds",
            "test_http_edge",
            "test_http_probes",
            "test_http_proxies",
            "test_idempotency",
            "test_import_contracts",
            "test_inference_protocol",
            "test_keys_command",
            "test_listings",
            "test_metrics_page",
            "test_migrations",
            "test_openapi_live",
            "test_openapi_soak",
            "test_performance_extremes",
            "test_oidc",
            "test_outcomes_command",
            "test_pages",
            "test_clinic_page",
            "test_predict_command",
            "test_readiness",
            "test_readme",
            "test_schema_versions",
            "test_security",
            "test_security_page",
            "test_serve",
            "test_simulate_command",
            "test_sql_keys",
            "test_audit_command",
            "test_sql_assessments",
            "test_sql_audit",
            "test_sql_deployments",
            "test_model_deployment",
            "test_sql_outcomes",
            "test_sql_repository",
            "test_sql_shadow_scores",
            "test_sqlite_file",
            "test_start",
            "test_table_import",
            "test_traces",
        }
    ),
    "models": frozenset(
        {
            "test_applied_card_schema",
            "test_model_boosters",
            "test_model_bucket",
            "test_model_hostile",
            "test_model_places",
            "test_model_gaps",
            "test_model_import",
            "test_model_kinds",
            "test_model_limits",
            "test_model_compare",
            "test_model_replay",
            "test_model_store",
            "test_model_update",
            "test_model_may_be_missing",
            "test_model_features",
            "test_onnx_model",
            "test_score_command",
            "test_training",
        }
    ),
    "pipeline": frozenset(
        {
            "test_clock_script",
            "test_connectors_command",
            "test_doctor",
            "test_kafka_adapter",
            "test_kafka_connect",
            "test_kafka_image",
            "test_kafka_login",
            "test_lake",
            "test_lake_command",
            "test_s3_stand_in",
            "test_erasure",
            "test_erasure_jobs",
            "test_lake_erasure",
            "test_value_search",
            "test_lake_trail",
            "test_lake_upkeep",
            "test_monitoring",
            "test_pipeline",
            "test_pipeline_analytics",
            "test_pipeline_dead_letters",
            "test_pipeline_lake",
            "test_pipeline_verify",
            "test_pipeline_with_faults",
            "test_pipeline_with_incidents",
            "test_platform_short_of",
            "test_registry_watch",
            "test_restore_drill",
            "test_sql_sink",
            "test_sql_source",
        }
    ),
    "analyses": frozenset(
        {
            "test_analytics",
            "test_analytics_checkpoint",
            "test_analytics_report",
            "test_avro_changes",
        }
    ),
    "spark": frozenset(
        {
            "test_engine",
            "test_odd_values",
            "test_scoring",
            "test_sources",
            "test_spark_image",
            "test_spark_lake",
        }
    ),
    "deploy": frozenset(
        {
            "test_ansible",
            "test_ansible_secrets",
            "test_api_image",
            "test_aws_stack",
            "test_aws_template",
            "test_compose",
            "test_containers",
            "test_dashboards",
            "test_hardening",
            "test_first_keys",
            "test_helm_chart",
            "test_helm_connectors",
            "test_image_builds",
            "test_jenkinsfile",
            "test_operations_page",
            "test_prometheus_rules",
            "test_root_compose",
            "test_shipped_python",
        }
    ),
}
NAMES: Final = (_UNIT, *AREAS)


def area_of(module: PurePath) -> str | None:
    """Return the area of a test module, or None where no area has it."""
    if "unit" in module.parts:
        return _UNIT
    return next((area for area, modules in AREAS.items() if module.stem in modules), None)


def asked_for(option: str | None) -> frozenset[str] | None:
    """Return the areas that ``--soak=AREA,AREA`` names; None where only the gate runs.

    Raises:
        pytest.UsageError: there is no such area.
    """
    if option is None:
        return None
    names = frozenset(NAMES) if option == ALL else frozenset(option.split(","))
    if unknown := sorted(names - {*NAMES}):
        raise pytest.UsageError(
            f"--soak: there is no area {', '.join(unknown)}; there are {', '.join(NAMES)}"
        )
    return names


def select(items: list[pytest.Item], config: pytest.Config) -> None:
    """Leave in ``items`` what the run is to do; tell pytest which tests it leaves out.

    The gate leaves out what is marked ``soak``, unless the command line names the very file or
    test. A soak leaves out the areas that it was not asked for.

    Raises:
        pytest.UsageError: a module stands in no area, or a mark has no reason.
    """
    check(items)
    areas = asked_for(config.getoption("--soak"))
    named = [file for file in map(_file_of, config.args) if file is not None]

    def is_wanted(item: pytest.Item) -> bool:
        if areas is not None:
            return area_of(item.path) in areas
        return item.get_closest_marker("soak") is None or item.path in named

    left_out = [item for item in items if not is_wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_wanted(item)]


def check(items: Iterable[pytest.Item]) -> None:
    """Raise ``pytest.UsageError`` for a module without an area, and a mark without a reason."""
    for item in items:
        if area_of(item.path) is None:
            raise pytest.UsageError(f"tests/runner/areas.py: {item.path.stem} stands in no area")
        for mark in item.iter_markers("soak"):
            if not (len(mark.args) == 1 and isinstance(mark.args[0], str) and mark.args[0]):
                raise pytest.UsageError(f"{item.nodeid}: soak wants the reason, and only that")


def modules() -> list[Path]:
    """Return every test module that wants an area."""
    return sorted(
        path for kind in ("integration", "spark") for path in (_TESTS / kind).glob("test_*.py")
    )


def _file_of(argument: str) -> Path | None:
    path = Path(argument.split("::", maxsplit=1)[0]).resolve()
    return path if path.is_file() else None
