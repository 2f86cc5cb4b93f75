"""How the page for clinicians looks and speaks: templates, styles, catalogues, words and charts.

It knows what is shown, and nothing of HTTP: the routes are in ``entrypoints/api/pages``.
"""
