"""Coverage-guided search for inputs that break the laws of `tests.fuzz.laws` and `tests.fuzz.entries`."""
