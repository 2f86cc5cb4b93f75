"""What deploy/ansible's lookup of secrets says where one cannot be used. No host is needed."""

from __future__ import annotations

import os
import subprocess

import pytest

from components.containers import ROOT
from components.ssh_host import script


@pytest.mark.parametrize(
    ("value", "complaint"),
    [("", "STROKE_TOKEN is not set in the environment"), ("a'b", "STROKE_TOKEN holds a quote")],
)
def test_a_secret_that_is_missing_or_breaks_its_line_is_named_but_not_shown(
    value: str, complaint: str
) -> None:
    script("deploy/python/set-up.sh", "infrastructure")
    done = subprocess.run(
        [
            *[".venv-infrastructure/bin/ansible", "localhost", "-m", "debug"],
            *["-a", "msg={{ lookup('stroke_secret', 'STROKE_TOKEN') }}"],
        ],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "ANSIBLE_CONFIG": "deploy/ansible/ansible.cfg",
            "STROKE_TOKEN": value,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr
    assert "a'b" not in done.stdout + done.stderr
