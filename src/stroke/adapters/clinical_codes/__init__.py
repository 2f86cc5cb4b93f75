"""The codes by which measurements and conditions are found: the shipped file, and a site's."""
