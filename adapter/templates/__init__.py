"""What a SAM template says: its intrinsic functions resolved, its nested stacks opened, its resources as records.

It reads files and creates nothing. Only this room reads YAML, which comes with ``lambda-await[testing]`` and ``[cli]``.
"""
