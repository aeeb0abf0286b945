"""Coverage-guided search for inputs that break the laws of `tests.faults.fuzz.laws` and `tests.faults.fuzz.entries`."""
