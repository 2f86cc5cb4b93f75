"""The dashboards of deploy/grafana/dashboards, as code: ``python -m boards`` writes them."""
