"""Limits that do not flap: each says in a sentence which figure is too high, and until when.

A figure that went above its limit must fall below 90 % of it; searches that became slow must be
quick several times in a row; a counter that rose must stand still for a while; a disk must have
another percent free. Each limit reads figures that others keep fresh.
"""

from collections.abc import Callable

from desireline.connectors.engine_load import NodeLoad
from desireline.sidecar.throttling.load_watch import LoadWatch
from desireline.sidecar.throttling.search_probe import SearchProbe

_RELEASE = 0.9
#: Searches that make a verdict, and those that end it.
_ENOUGH = 20
_QUIET = 5
#: Share of a disk that must come free again.
_FREED = 0.01


class Ceiling:
    """Holds from the moment a figure is above its limit until it is below 90 % of it."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._holds = False

    def holds(self, figure: float) -> bool:
        """Say whether the figure is still, or newly, too high."""
        self._holds = figure >= self.limit * _RELEASE if self._holds else figure > self.limit
        return self._holds


class NodeCheck:
    """One figure of the node where it is highest, against one limit."""

    def __init__(
        self,
        watch: LoadWatch,
        limit: float,
        *,
        figure: Callable[[NodeLoad], float | None],
        of_what: str,
        required: bool,
    ) -> None:
        self._watch = watch
        self._ceiling = Ceiling(limit)
        self._figure = figure
        #: Of what the figure is a share, in words.
        self._of_what = of_what
        self._required = required

    def __call__(self) -> str | None:
        """Return the reason, if there is one."""
        nodes = self._watch.load.nodes if self._watch.load is not None else ()
        figures = [(f, node.name) for node in nodes if (f := self._figure(node)) is not None]
        if not figures:
            return self._absent() if self._required else None
        figure, name = max(figures)
        if not self._ceiling.holds(figure):
            return None
        return (
            f"node {name} has {figure:.0%} of {self._of_what} in use, the limit is"
            f" {self._ceiling.limit:.0%} (measured by the cluster itself)"
        )

    def _absent(self) -> str:
        why = "; ".join(self._watch.load.missing) if self._watch.load is not None else ""
        return (
            f"the configuration limits the use of {self._of_what} to {self._ceiling.limit:.0%},"
            f" but nobody can measure it{': ' + why if why else ''}"
        )


class RefusalCheck:
    """Holds while nodes turn requests away, and for some time after the last one."""

    def __init__(
        self, watch: LoadWatch, quiet_s: float, *, required: bool, monotonic: Callable[[], float]
    ) -> None:
        self._watch = watch
        self._quiet_s = quiet_s
        self._required = required
        self._monotonic = monotonic
        self._seen: dict[str, int] = dict(self._counts() or {})
        self._until = float("-inf")
        self._risen = ""

    def __call__(self) -> str | None:
        """Return the reason, if there is one."""
        counts = self._counts()
        if counts is None:
            return (
                "the configuration names throttle.rejections, but nobody can count them"
                if self._required
                else None
            )
        # A node that is new has no past: its first count is where it begins.
        risen = {w: n - self._seen[w] for w, n in counts.items() if n > self._seen.get(w, n)}
        self._seen = dict(counts)
        if risen:
            self._until = self._monotonic() + self._quiet_s
            self._risen = ", ".join(f"{count} {what}" for what, count in risen.items())
        if self._monotonic() >= self._until:
            return None
        return (
            f"{self._risen}; writing waits for {self._quiet_s:g} s without (the cluster's counts)"
        )

    def _counts(self) -> dict[str, int] | None:
        load = self._watch.load
        return None if load is None or load.refused is None else dict(load.refused)


class SearchCheck:
    """Holds from a slow p99 of live searches until several in a row are quick again.

    From the moment it holds, only what comes afterwards counts: the slow searches that brought
    the wait about would otherwise prolong it until they left the window.
    """

    def __init__(self, probe: SearchProbe, *, limit_s: float, told: str) -> None:
        self._probe = probe
        self._limit_s = limit_s
        self._told = told
        self._slow_s = 0.0

    def __call__(self) -> str | None:
        """Return the reason, if there is one."""
        if self._probe.failure:
            return f"a live search is not answered: {self._probe.failure} (seen by our probes)"
        if self._slow_s and self._is_quick():
            self._slow_s = 0.0
        elif not self._slow_s and len(self._probe.newest(_ENOUGH)) == _ENOUGH:
            p99_s = self._probe.quantile_s(0.99) or 0.0
            if p99_s > self._limit_s:
                self._slow_s = p99_s
                self._probe.forget()
        if not self._slow_s:
            return None
        return (
            f"live searches take {self._slow_s * 1e3:.0f} ms (p99), the limit is"
            f" {self._limit_s * 1e3:.0f} ms{self._told} (seen by our probes)"
        )

    def _is_quick(self) -> bool:
        newest = self._probe.newest(_QUIET)
        return len(newest) == _QUIET and max(newest) < self._limit_s * _RELEASE


class DiskCheck:
    """Holds while what is used and what is still to come would pass a low watermark."""

    def __init__(
        self, watch: LoadWatch, share: float, *, left_bytes: Callable[[], int], required: bool
    ) -> None:
        self._watch = watch
        self._share = share
        self._left_bytes = left_bytes
        self._required = required
        self._held = False

    def __call__(self) -> str | None:
        """Return the reason, if there is one."""
        load = self._watch.load
        nodes = [node for node in (load.nodes if load is not None else ()) if node.disk is not None]
        if not nodes:
            return (
                "the configuration names throttle.disk, but nobody can measure the disks"
                if self._required
                else None
            )
        reasons = [reason for node in nodes if (reason := self._fills(node))]
        self._held = bool(reasons)
        return reasons[0] if reasons else None

    def _fills(self, node: NodeLoad) -> str | None:
        assert node.disk is not None
        disk = node.disk
        limit = (disk.total_bytes - disk.floor_bytes) * self._share
        margin = disk.total_bytes * _FREED if self._held else 0.0
        used = disk.total_bytes - disk.available_bytes
        coming = self._left_bytes() * node.part
        if used + coming + margin <= limit:
            return None
        return (
            f"the disk of {node.name} has {_gb(used)} used and {_gb(coming)} to come, the limit is"
            f" {_gb(limit)} under its low watermark (measured by the engine itself)"
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
