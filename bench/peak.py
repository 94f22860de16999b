"""The arithmetic peak of this machine, as ``fastbp bench`` measures it.

``python -m bench.peak`` prints it for one thread and for all of them.
"""

from bench.environment import available_cpus
from fastbp.command.peak import measure

__all__ = ["measure"]

if __name__ == "__main__":
    for count in sorted({1, available_cpus()}):
        print(f"{count} thread{'s' * (count > 1)}: {measure(count):.0f} GFLOP/s")
