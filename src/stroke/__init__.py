"""Stroke-risk prediction: calibrated, explained, durable."""

import os

__version__ = "0.1.0"

# From 1.29 on ONNX Runtime reports to its maker the models it runs, and keeps an identifier of the
# machine, unless this is set before it is imported. What runs on patients' data reports to nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
