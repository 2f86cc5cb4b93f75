"""Tokens of an OpenID provider, verified with PyJWT."""
