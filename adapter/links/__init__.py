"""Signed links: people and other systems settle a promise by HTTP.

Only a POST with a token that this stack has signed settles a promise.
"""
