"""Erasure: predictions are taken out of every place that keeps something of them."""
