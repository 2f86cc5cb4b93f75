"""Directories of Avro files with change events, through fastavro."""
