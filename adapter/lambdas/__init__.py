"""What AWS invokes, beside the user's functions: the resumer, the sweeper and its queue, and the dead letters.

Each may be given the same event twice, and may die between any two of its operations: the event comes again.
"""
