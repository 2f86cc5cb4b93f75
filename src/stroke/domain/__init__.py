"""What a stroke prediction is, in pure Python: no framework, no numpy, no I/O."""
