"""HTML pages with tables and plots: the analyses of a run, drift, and the quality of models."""
