"""One fake for each port; it passes the same contract suite as the real adapters."""
