"""Composition roots: the only places that know which adapter stands behind which port."""
