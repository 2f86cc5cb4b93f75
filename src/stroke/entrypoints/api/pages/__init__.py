"""Routes of the page for clinicians, under /ui; how it looks is in ``entrypoints/ui``."""
