"""The change-data pipeline: connectors as code, dead letters, proof of consistency."""
