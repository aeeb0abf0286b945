"""Functions run in operating-system processes of their own, under AWS's runtime interface client.

They die by SIGKILL, and reach AWS over HTTP only.
"""
