"""FHIR servers of record systems."""
