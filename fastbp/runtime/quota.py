"""The processors that control groups grant this process (Linux)."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def granted() -> int | None:
    """Whole processors that the control groups grant this process now, if they limit it."""
    quotas = [quota for quota in map(_quota_of, _cgroup_folders()) if quota is not None]
    return min(quotas, default=None)


def _cgroup_folders() -> Iterator[Path]:
    """Where limits of this process may stand: cgroup v2's own group and those above it, and v1."""
    try:
        groups = _OWN_GROUPS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        own = PurePosixPath(path.strip("/"))
        base = _GROUPS / controllers if controllers else _GROUPS
        yield from (base / part for part in (own, *own.parents))


def _quota_of(folder: Path) -> int | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        return max(1, int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # no limit here: "max", or no such file
        return None
