"""Docker's HEALTHCHECK of the service: exit code 0 when it can store a prediction now."""  # noqa: INP001

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

port = int(os.environ.get("STROKE_HTTP_PORT") or 8000)
connection = HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/health/ready")
    ready = connection.getresponse().status == 200  # noqa: PLR2004
except (OSError, HTTPException):
    ready = False
sys.exit(0 if ready else 1)
