"""A host of its own, as a cloud gives it: Debian with systemd and SSH, to be configured by Ansible.

It is a container (deploy/images/ssh-host), but what runs within is real: systemd, the packet
filter, and a Docker engine of its own. Nothing of it touches this machine's engine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import docker
import testinfra
from testinfra.host import Host

from components.containers import LABELS, ROOT, build_image
from runner.seconds import spending

_STARTS_WITHIN = 120.0
_ANSWERS = "import urllib.request as r; r.urlopen('http://127.0.0.1:8000', timeout=4)"


def script(
    name: str, *arguments: str, settings: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository; its failure is an assertion's, unless ``check`` is false.

    Of this process's environment it sees no setting of ours, of AWS or of Ansible but ``settings``.
    """
    own = ("STROKE_", "MYSQL_", "AWS_", "ANSIBLE_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    done = subprocess.run(
        [str(ROOT / name), *arguments],
        cwd=ROOT,
        env=inherited | dict(settings or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,  # a machine that is busy with other tests, too
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{name} failed:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}")
    return done


class SshHost:
    """One host; ``address`` is where SSH reaches it with the key that ``settings`` name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = docker.from_env()
        self._container: Any = None
        self.address = ""

    def __enter__(self) -> Self:
        self._container = self._engine.containers.create(
            build_image("ssh-host"),
            labels=LABELS,
            # What systemd and an engine within need (SYS_PTRACE: to run a health check in a
            # container whose process changed its user, as MySQL's does). --privileged is more,
            # and not to be had everywhere.
            cap_add=["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},  # noqa: S108
            volumes=["/var/lib/docker"],
        )
        try:
            self._container.start()
            self._wait_until_healthy()
            self._exchange_keys()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._container.remove(force=True, v=True)
        self._engine.close()

    @property
    def settings(self) -> dict[str, str]:
        """What our scripts need to reach it."""
        return {
            "STROKE_SSH_KEY": str(self._folder / "key"),
            "STROKE_KNOWN_HOSTS": str(self._folder / "known_hosts"),
        }

    @property
    def gateway(self) -> str:
        """The address that this machine has for the host."""
        return str(self._container.attrs["NetworkSettings"]["Gateway"])

    @property
    def inside(self) -> Host:
        """What testinfra can ask, as root."""
        return testinfra.get_host(f"docker://{self._container.name}")

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell's command as root; return its output. Fails when the command does."""
        code, said = self._container.exec_run(["bash", "-c", command])
        text = said.decode(errors="replace")
        assert not check or code == 0, f"{command}: exit code {code}:\n{text[-3000:]}"
        return str(text)

    def restart(self) -> None:
        """Shut it down in good order, and start it again."""
        self._container.stop(timeout=60)
        self._container.start()
        self._wait_until_healthy()

    def mysql(self, statement: str) -> str:
        """Run statements as root on the service's database; return the rows, tab-separated."""
        quoted = statement.replace("'", "'\\''")
        return self.run(
            f"printf '%s' '{quoted}' | docker exec -i stroke-mysql-1 sh -c "
            "'MYSQL_PWD=$(cat /run/secrets/MYSQL_ROOT_PASSWORD) "
            "exec mysql -uroot -N -B stroke_predictions'"
        )

    def metrics(self) -> str:
        """What its node exporter tells."""
        url = "http://127.0.0.1:9100/metrics"
        fetch = f'import urllib.request as r; print(r.urlopen("{url}").read().decode())'
        return self.run(f"python3 -c '{fetch}'")

    @spending("waiting")
    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            self._container.reload()
            state = self._container.attrs["State"]
            if state.get("Health", {}).get("Status") == "healthy":
                self.address = str(self._container.attrs["NetworkSettings"]["IPAddress"])
                return
            end = self._container.logs(tail=20).decode(errors="replace")
            assert state["Running"], f"the host ended:\n{end}"
            assert time.monotonic() < deadline, f"the host does not start:\n{end}"
            time.sleep(0.2)

    def _exchange_keys(self) -> None:
        key = self._folder / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
            check=True,
            capture_output=True,
        )
        public = key.with_suffix(".pub").read_text().strip()
        home = "/home/admin/.ssh/authorized_keys"
        self.run(f"echo '{public}' > {home} && chown admin: {home} && chmod 600 {home}")
        kind, own, *_ = self.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()
        (self._folder / "known_hosts").write_text(f"{self.address} {kind} {own}\n")


def release(folder: Path, *, api_command: list[str], images: dict[str, str]) -> Path:
    """Write a release into ``folder``: MySQL as compose.yaml has it, and a stand-in for the API.

    The whole stack has a test of its own (``stack.py``); here it is about the host.
    """
    folder.mkdir()
    whole = json.loads(
        subprocess.run(
            [
                *["docker", "compose", "-f", "deploy/compose.yaml", "config"],
                *["--no-interpolate", "--no-path-resolution", "--format", "json"],
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "COMPOSE_PROFILES": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    api = {
        "image": "${STROKE_API_IMAGE}",
        "entrypoint": api_command,
        # Not that of the image.
        "healthcheck": {
            "test": ["CMD", "python3", "-c", _ANSWERS],
            "interval": "1s",
            "retries": 60,
        },
        "depends_on": {"mysql": {"condition": "service_healthy"}},
        "ports": ["${STROKE_API_ADDRESS}:${STROKE_PORT_API}:8000"],
        "networks": ["app-network"],
    }
    mounted = [each["source"] for each in whole["services"]["mysql"]["secrets"]]
    compose = {
        "name": "stroke",
        "x-secrets": {name: whole["x-secrets"][name] for name in mounted},
        "secrets": {name: whole["secrets"][name] for name in mounted},
        "services": {"mysql": whole["services"]["mysql"], "api": api},
        "networks": whole["networks"],
        "volumes": {"mysql-data": {}},
    }
    (folder / "compose.yaml").write_text(json.dumps(compose, indent=1))
    init = folder / "mysql" / "init"
    init.mkdir(parents=True)
    source = ROOT / "deploy" / "mysql" / "init" / "10-pipeline.sh"
    (init / source.name).write_bytes(source.read_bytes())
    (init / source.name).chmod(0o755)
    for script_of_release in ("secrets.sh", "secret_files.py", "first-keys.sh"):
        shutil.copy2(ROOT / "deploy" / script_of_release, folder)
    (folder / "images.env").write_text("".join(f"{key}={tag}\n" for key, tag in images.items()))
    return folder


def open_ports(python: list[str], address: str) -> list[str]:
    """Return those of a few ports of ``address`` that ``python`` (a command) gets through to."""
    # 3306 and 9999: published on 127.0.0.1 only, and nothing. All at once: what is dropped takes
    # its time.
    look = (
        "import socket\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def is_open(port):\n"
        "    try: socket.create_connection(('{}', port), timeout=1.5).close(); return True\n"
        "    except OSError: return False\n"
        "ports = (22, 3306, 8000, 9100, 9999)\n"
        "with ThreadPoolExecutor(5) as threads:\n"
        "    print(*(each for each, o in zip(ports, threads.map(is_open, ports)) if o))\n"
    )
    command = [*python, look.format(address)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
