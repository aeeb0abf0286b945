"""Example applications: ordinary async code, in which each call of a durable function is its own Lambda invocation."""
