"""Adapters: one package for each technology, each behind ports of the application."""
