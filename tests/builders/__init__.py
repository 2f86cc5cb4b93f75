"""Values and files for tests."""
