"""Signed links: people and other systems settle a promise by HTTP.

No request settles anything without a token that this stack has signed, and none but a POST.
"""
