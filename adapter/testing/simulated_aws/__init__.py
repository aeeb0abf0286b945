"""AWS as a local cloud plays it: the table with its stream, queues, the bucket, and Lambda's own service.

Time is virtual, and passes only when the cloud lets it. Nothing here knows durable functions.
"""
