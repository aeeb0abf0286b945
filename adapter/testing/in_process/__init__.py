"""Functions run in this process: one after the other, or one within the other where the seed has it so."""
