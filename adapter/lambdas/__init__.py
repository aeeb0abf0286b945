"""The library's own Lambdas: the resumer, the sweeper and its two queues, and the dead letters.

AWS may give each the same event twice. Each may die between any two of its operations; then AWS sends the event again.
"""
