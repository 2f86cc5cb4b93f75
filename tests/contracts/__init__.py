"""What every implementation of a port does: suites that the fake and the real adapters pass."""
