"""Who may call: keys, the callers that they name, and what these may do."""
