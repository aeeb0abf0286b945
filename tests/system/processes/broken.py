"""A module that a Lambda can't import."""

raise RuntimeError("the table of prices is missing")
