"""Processes with limits of time and memory and an empty environment, for what is not trusted."""
