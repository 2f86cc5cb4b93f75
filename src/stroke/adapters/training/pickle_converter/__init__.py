"""Turns pickled models into ONNX graphs: a program for the interpreter that the pickle needs.

It imports nothing of stroke, and is copied beside the probes and run there (``__main__``). The
oldest interpreters lack today's syntax, so it has none of it.
"""
