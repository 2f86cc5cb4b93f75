"""How the tests are run: in which order, on which worker, and commands in forked processes."""
