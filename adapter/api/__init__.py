"""What a user's code calls: durable functions, what they may await, handles from outside, and schedules.

Nothing here decides what happens. Inside an execution a call becomes a `Request` to the scope that runs the code;
outside of one it becomes a call of the host. Bad input is refused here, before anything is written.
"""
