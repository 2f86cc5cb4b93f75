"""The registry's image ends a registry that does not serve, and writes down what it waits for.

One that has served and then hangs is in test_pipeline_with_faults.py.
"""

from __future__ import annotations

import subprocess

import pytest
from testcontainers.core.container import DockerContainer

from components.change_events import until
from components.containers import LABELS, build_image

pytestmark = pytest.mark.soak("a JVM starts in vain, for half a minute")


def test_a_start_that_never_ends_is_ended_with_its_threads_in_the_log(docker_engine: None) -> None:
    """As where the broker stopped at the moment at which the registry asked it for something."""
    registry = (
        DockerContainer(build_image("schema-registry"))
        .with_kwargs(labels=LABELS)
        .with_env("REGISTRY_BOOTSTRAP_SERVERS", "127.0.0.1:1")  # nobody
        .with_env("REGISTRY_WATCH_SECONDS", "1")
        .with_env("REGISTRY_START_SECONDS", "20")
    )
    with registry:
        container = registry.get_wrapped_container()

        def ended() -> bool:
            container.reload()
            return bool(container.status == "exited")

        until(ended, within=120, what="the registry's end")
        code = container.attrs["State"]["ExitCode"]
        logs = subprocess.run(
            ["docker", "logs", container.id], capture_output=True, text=True, check=True
        )
    logged = logs.stdout + logs.stderr
    assert code == 137, logged[-2000:]  # not 0: the engine starts it again
    assert "run: the registry has not come alive within 20 s" in logged
    assert "Full thread dump" in logged
    assert '"main"' in logged  # and where it is
    assert "Heap" in logged
