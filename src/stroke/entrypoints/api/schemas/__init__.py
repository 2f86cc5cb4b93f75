"""The wire: what clients send and get. A public contract: names and meanings only ever grow."""
