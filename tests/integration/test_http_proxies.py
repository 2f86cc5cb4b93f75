"""The service behind Debian's nginx, under a prefix: page, schema, and what "Try it out" sends.

Over HTTP step by step, and as Debian's Chromium does it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import urllib3

from builders.predictions import patient_json
from components.browser import Page, browser
from components.containers import free_port
from components.processes import Service, wait_for
from components.programs import program

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream stroke {{ server {service}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    location /stroke/ {{ {forwarded} proxy_pass http://stroke/; }}
    location /kept/ {{ {kept} proxy_pass http://stroke; }}
  }}
}}
"""
FORWARDED = (
    "proxy_set_header X-Forwarded-Prefix {prefix}; proxy_set_header X-Forwarded-Proto https;"
    "proxy_set_header X-Forwarded-Host $http_host;"
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
)


@contextmanager
def nginx(folder: Path, service: Service, *, forwards: bool) -> Iterator[str]:
    """Run nginx before ``service``; yield its address."""
    port = free_port()
    file = folder / "nginx.conf"
    said = {
        name: FORWARDED.format(prefix=prefix) if forwards else ""
        for name, prefix in (("forwarded", "/stroke"), ("kept", "/kept"))
    }
    upstream = urlsplit(service.url).netloc
    file.write_text(CONFIGURATION.format(folder=folder, port=port, service=upstream, **said))
    process = subprocess.Popen(
        [program("nginx", "nginx-light"), "-p", str(folder), "-c", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/", status=404, alive=process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an nginx whose headers the service believes."""
    folder = tmp_path_factory.mktemp("trusting")
    with (
        Service(folder, STROKE_HTTP_TRUSTED_PROXIES="127.0.0.1, ::1") as service,
        nginx(folder, service, forwards=True) as address,
    ):
        yield address


def _the_page_works(page: str) -> None:
    """Follow the page as a browser does: its files, its schema, and a request to its server."""
    shown = urllib3.request("GET", page, retries=False)
    assert shown.status == 200
    html = shown.data.decode()
    files = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(files) >= 3
    for file in files:
        assert urllib3.request("GET", urljoin(page, file), retries=False).status == 200, file
    [schema_at] = re.findall(r"url: '([^']+)'", html)
    schema_address = urljoin(page, schema_at)
    schema = urllib3.request("GET", schema_address, retries=False).json()
    [server] = schema["servers"]
    # Swagger UI resolves a server against the schema's own address.
    predict = urljoin(schema_address, server["url"]) + "/predict"
    answer = urllib3.request("POST", predict, json=patient_json(), retries=False)
    assert answer.status == 200
    assert answer.json()["prediction_id"] >= 1


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


_PREDICT = "[id$='-predict_api_v1_predict_post']"
_ANSWER = "document.querySelector('.live-responses-table tbody {}')?.innerText"


def _try_it_out(page: Page, address: str) -> int:
    """Send the example patient from the docs page at ``address``; return the prediction's id."""
    page.open(f"{address}/docs")
    page.click(f"{_PREDICT} .opblock-summary-control")
    page.wait_for(f"document.querySelector(\"{_PREDICT} textarea\")?.value.includes('bmi')")
    page.click(f"{_PREDICT} .execute")
    status = page.wait_for(_ANSWER.format(".response-col_status"))
    answer = page.run(_ANSWER.format(".response-col_description"))
    assert status.split()[0] == "200", answer
    asked = page.run("document.querySelector('.request-url pre').innerText")
    assert asked == f"{address}/api/v1/predict"
    assert page.faults == []
    [stored] = re.findall(r'"prediction_id": (\d+)', answer)
    return int(stored)


@pytest.mark.parametrize("prefix", ["stroke", "kept"])
def test_a_browser_tries_it_out_behind_a_prefix_that_a_trusted_proxy_names(
    page: Page, trusting: str, prefix: str
) -> None:
    stored = _try_it_out(page, f"{trusting}/{prefix}")
    row = urllib3.request("GET", f"{trusting}/{prefix}/api/v1/predictions/{stored}")
    assert row.status == 200


def test_a_browser_tries_it_out_behind_a_prefix_that_is_set(page: Page, tmp_path: Path) -> None:
    with (
        Service(tmp_path, STROKE_HTTP_ROOT_PATH="/stroke") as service,
        nginx(tmp_path, service, forwards=False) as address,
    ):
        assert _try_it_out(page, f"{address}/stroke") == 1
        assert _try_it_out(page, f"{service.url}/stroke") == 2


def test_a_browser_finds_nothing_to_try_out_behind_a_prefix_that_nobody_names(
    page: Page, tmp_path: Path
) -> None:
    with Service(tmp_path) as service, nginx(tmp_path, service, forwards=False) as address:
        page.open(f"{address}/stroke/docs")
        page.wait_for("document.readyState === 'complete'")
        assert page.faults != []
        assert page.run("document.querySelector('.opblock')") is None


@pytest.mark.parametrize("prefix", ["stroke", "kept"])
def test_page_schema_and_try_it_out_work_behind_a_prefix_that_a_trusted_proxy_names(
    trusting: str, prefix: str
) -> None:
    _the_page_works(f"{trusting}/{prefix}/docs")


def test_they_work_behind_a_prefix_that_is_set_without_trusting_anybody(tmp_path: Path) -> None:
    with (
        Service(tmp_path, STROKE_HTTP_ROOT_PATH="/stroke") as service,
        nginx(tmp_path, service, forwards=False) as address,
    ):
        _the_page_works(f"{address}/stroke/docs")
        _the_page_works(f"{service.url}/stroke/docs")
        assert urllib3.request("GET", f"{service.url}/health/ready").status == 200


def test_a_connection_of_the_proxy_serves_many_requests_and_refusals(trusting: str) -> None:
    for _ in range(20):
        answer = urllib3.request("POST", f"{trusting}/stroke/predict", json=patient_json())
        assert answer.status == 200
        refused = urllib3.request("GET", f"{trusting}/stroke/predictions?{'q' * 8300}")
        assert refused.status in (400, 414)  # nginx itself or the service
    large = urllib3.request("POST", f"{trusting}/stroke/predict", body=b" " * 700_000)
    assert large.status in (413, 415)
