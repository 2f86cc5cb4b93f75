"""The platform as an operator runs it: a checkout, `make`, and the scripts of deploy/."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from components.checkout import copy_checkout
from components.containers import LABELS, free_port, mysql_image
from components.processes import environment
from components.stack import SHORT_LIVED_JVM

_WITHIN = 600.0  # where another platform runs beside it
_BUILDS_WITHIN = 1800.0


class HostStack:
    """A stack of its own, from a copy of the checkout in ``folder``. Nothing runs at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_checkout(folder)
        self._project = f"stroke-test-{secrets.token_hex(4)}"
        compose = folder / "deploy" / "compose.yaml"
        text = compose.read_text()
        text = text.replace("&restart\n", f"&restart\n  labels: {json.dumps(LABELS)}\n", 1)
        heap = re.compile(r"^( +)(?=(KAFKA|REGISTRY)_HEAP: )", re.MULTILINE)
        text, jvms = heap.subn(rf"\1JAVA_TOOL_OPTIONS: {SHORT_LIVED_JVM}\n\1", text)
        assert jvms == 3
        compose.write_text(text)
        self.run("make", "env")
        self._settings = folder / "deploy" / ".env"
        self.api_url = f"http://127.0.0.1:{self._own_ports()['STROKE_PORT_API']}"

    def run(
        self, *command: str, fails: bool = False, within: float = _WITHIN, **settings: str
    ) -> str:
        """Run a command in the checkout; return what it printed, stderr behind stdout."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=within,
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"exit code {done.returncode}: {said[-4000:]}"
        return said

    def build_images(self) -> None:
        """Build what a machine that never ran a test does not have."""
        self.run("deploy/stack.sh", "images", within=_BUILDS_WITHIN)

    def mysql(self, statement: str) -> str:
        """Return what root's client prints for a statement, tab between columns."""
        return self.run("deploy/stack.sh", "mysql", "-N", "-e", statement, "stroke_predictions")

    def settings(self) -> dict[str, str]:
        """Return deploy/.env, by name."""
        lines = self._settings.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z0-9_]+=", line))

    @property
    def key(self) -> dict[str, str]:
        """The headers with which the API lets a client do everything."""
        return {"Authorization": f"Bearer {self.settings()['STROKE_ADMIN_KEY']}"}

    def configure(self, **settings: str) -> None:
        """Change lines of deploy/.env."""
        text = self._settings.read_text()
        for name, value in settings.items():
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        self._settings.write_text(text)

    def forget(self, *names: str) -> None:
        """Take lines out of deploy/.env."""
        kept = [
            line
            for line in self._settings.read_text().splitlines()
            if line.partition("=")[0] not in names
        ]
        self._settings.write_text("\n".join(kept) + "\n")

    def logs_in(self, user: str, password: str) -> bool:
        """Return whether MySQL takes an account's password."""
        command = ["deploy/stack.sh", "exec", "-T", "-e", f"MYSQL_PWD={password}", "mysql", "mysql"]
        options = ["--protocol=tcp", "--host=127.0.0.1", f"--user={user}", "-N", "-e", "SELECT 7"]
        done = subprocess.run(
            [*command, *options],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0 or "Access denied" in done.stderr, done.stderr
        return done.returncode == 0

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of each container that the stack has, by service."""
        labels = ["--filter", f"label=com.docker.compose.project={self._project}"]
        listed = self.run("docker", "ps", "--all", "--quiet", *labels).split()
        found = json.loads(self.run("docker", "inspect", *listed)) if listed else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def crash(self, *services: str) -> None:
        """End the services' first processes, as a fault does, in turn; return when all are healthy.

        Not with `docker kill`, after which the engine takes them for stopped.
        """
        before = self.containers()
        killing = ["docker", "run", "--rm", "--pid=host", "--user=0", "--entrypoint=sh"]
        for service in services:
            kill = f"kill -9 {before[service]['State']['Pid']}"
            self.run(*killing, before["connectors"]["Image"], "-c", kill)
        deadline = time.monotonic() + _WITHIN
        while ill := [name for name in services if not _is_back(self.containers()[name], before)]:
            assert time.monotonic() < deadline, f"{', '.join(ill)} did not come back"
            time.sleep(0.5)

    def lose(self, service: str, volume: str) -> None:
        """Remove a service's container and its data, as a disk that breaks does."""
        self.run("docker", "rm", "--force", "--volumes", self.containers()[service]["Id"])
        self.run("docker", "volume", "rm", f"{self._project}_{volume}")

    def remove(self) -> None:
        self.run("deploy/stack.sh", "down", "--volumes", "--timeout", "1")

    def _own_ports(self) -> dict[str, str]:
        """Give the settings a name and ports that nobody else has; return the ports."""
        text = self._settings.read_text()
        ports = {
            name: str(free_port())
            for name in re.findall(r"^(STROKE_PORT_\w+)=", text, re.MULTILINE)
        }
        own = {
            **ports,
            "STROKE_MYSQL_IMAGE": mysql_image(),
            "STROKE_LAKE_COMMIT_SECONDS": "3",
        }
        for name, value in own.items():
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        self._settings.write_text(f"{text}COMPOSE_PROJECT_NAME={self._project}\n")
        return ports


def _is_back(now: dict[str, Any], before: dict[str, dict[str, Any]]) -> bool:
    service = now["Config"]["Labels"]["com.docker.compose.service"]
    restarted: bool = now["RestartCount"] > before[service]["RestartCount"]
    return restarted and now["State"]["Health"]["Status"] == "healthy"
