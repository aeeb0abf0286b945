"""One search, in a process of its own: libFuzzer ends it, at its end or at the first finding."""

from __future__ import annotations

import sys


def main() -> None:
    import atheris

    name, *flags = sys.argv[1:]
    # Before anything imports it: only what is instrumented guides the search.
    with atheris.instrument_imports(include=["adapter"]):
        from tests.faults.fuzz.ear import listening
        from tests.faults.fuzz.guided.mutations import mutated
        from tests.faults.fuzz.guided.targets import TARGETS

    target = TARGETS[name]
    for seed in target.seeds():
        target.hold(seed.encode("utf-8", "surrogatepass"))

    def heard(data: bytes) -> None:
        with listening() as noise:
            target.hold(data)
        # A traceback's text is made by parsing its lines; a zone's name is looked for in the package tzdata alone.
        strange = [one for one in noise if not one.startswith("compile") and "tzdata" not in one]
        assert not strange, strange

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        return mutated(data, size, seed, atheris.Mutate)

    atheris.Setup([sys.argv[0], *flags], heard, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
