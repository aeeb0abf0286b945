"""What a user's code calls: durable functions, what they may await, handles from outside, and schedules.

This room passes calls on. Inside an execution a call becomes a `Request` to the scope that runs the code; outside of
one it becomes a call of the host. Bad input is refused here, before anything is written.
"""
