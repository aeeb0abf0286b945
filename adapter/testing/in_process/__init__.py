"""Functions in this process: they run one after the other, or overlap where the seed decides so."""
