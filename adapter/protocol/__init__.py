"""Records and messages, and every rule about them. Pure: records, messages and times in, records and answers out.

A record changes by one of the transitions in `promises` and by nothing else. No module here knows a clock, a network,
or a user's code.
"""
