"""Behaviour that every implementation of a port shares: the fake's and the real adapters'.

Subclass a suite and provide the fixture it names; unit/ does so with the fake, integration/ with
the real component.
"""

from __future__ import annotations
