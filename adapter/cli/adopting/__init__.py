"""From an installed package to an application: a new one, an existing one's template, a deployed stack.

What makes files makes all of them or none. What only looks changes nothing.
"""
