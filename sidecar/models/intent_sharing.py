"""Intent heads go to the shared registry and come from it; a dead one stops nothing.

Which heads serve stands in the state store, which all machines see. So nothing is remembered of
what is left to do: it is looked up anew each time.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import structlog

from desireline.connectors.errors import DesirelineError, SharedFolderError
from desireline.sidecar.models.intent_records import appointed, heads_of
from desireline.sidecar.target import Target
from desireline.trainer.errors import TrainerError
from desireline.trainer.intent.sharing import SharedHeads

log = structlog.get_logger(__name__)

#: A head that is kept and not appointed may be about to be; one this old is not.
_ABOUT_TO_SERVE = timedelta(hours=1)


class HeadExchange:
    """What one sidecar shares and takes of its targets' heads."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        #: Heads that are surely in the shared registry.
        self._shared: set[str] = set()

    def exchange(self) -> None:
        """Share the heads that serve and lie here, take those that do not; forget old ones.

        Raises what the state store raises, and nothing for a head: that is tried again.
        """
        for target in self._targets.values():
            if target.registry.shared is None or target.config.intent.category is None:
                continue
            serving = appointed(target)
            self._each(target, serving)
            _forget_idle(target, serving)

    def _each(self, target: Target, serving: set[str]) -> None:
        assert target.registry.shared is not None
        shared, kept = SharedHeads(target.registry.shared, target.name), heads_of(target)
        here = set(kept.list())
        for head in sorted(serving):
            try:
                if head not in here:
                    shared.bring(kept, head)
                elif head not in self._shared:
                    shared.push(kept, head)
                self._shared.add(head)
            except SharedFolderError as error:
                log.warning("intent heads will be shared later", reason=str(error))
                return  # the next one would wait as long
            except (DesirelineError, OSError) as error:
                log.warning("intent head not shared", head=head, reason=str(error))


def heads_still_shared(target: Target) -> Iterator[str]:
    """Yield what an erasure does not reach of shared heads: those that serve no more."""
    if target.registry.shared is None:
        return
    shared = SharedHeads(target.registry.shared, target.name)
    try:
        idle = set(shared.list()) - appointed(target)
    except DesirelineError:
        yield f"{shared.name} could not be looked at: intent heads in it may have learned from it"
        return
    if idle:
        yield (
            f"{shared.name} holds {len(idle)} intent heads that serve no more, and any of them may"
            " have learned from it: delete those folders"
        )


def _forget_idle(target: Target, serving: set[str]) -> None:
    """Remove heads that serve no more: another machine may have dismissed them."""
    kept = heads_of(target)
    for head in set(kept.list()) - serving:
        try:
            _, manifest = kept.load(head)
        except TrainerError:
            continue
        if target.clock() - manifest.created_at > _ABOUT_TO_SERVE:
            kept.remove(head)
