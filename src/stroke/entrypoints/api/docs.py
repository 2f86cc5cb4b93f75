"""The docs page, with Swagger UI served from here: it works where the internet does not reach."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from stroke.entrypoints.api.access import for_everybody

_ASSETS: Final = "/docs/assets"
_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def install(app: FastAPI) -> None:
    """Serve the docs page of ``app`` at /docs."""

    @for_everybody
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True},
        )
        page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
        return page

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(directory=_assets()))


def _policy(page: bytes) -> str:
    """Return what a browser may do for ``page``: run its script, and ask and load from here."""
    scripts = [b64encode(sha256(script).digest()).decode() for script in _SCRIPT.findall(page)]
    allowed = " ".join(f"'sha256-{script}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' {allowed}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _assets() -> Path:
    # Found, not imported: only the package's files are of use, and start-up time counts.
    spec = find_spec("fastapi_swagger")
    if spec is None or spec.origin is None:  # pragma: no cover - it is pinned
        raise ModuleNotFoundError("fastapi-swagger holds the docs page: install the pins again")
    return Path(spec.origin).parent / "resources"
