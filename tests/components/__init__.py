"""Real components for tests: containers, servers, processes, and what they show."""
