"""What one target keeps of people on this machine, and the promises about it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.configuration.privacy import PrivacyConfig
from desireline.sidecar.privacy.anonymising import Anonymiser
from desireline.sidecar.privacy.client_names import ClientNames
from desireline.sidecar.privacy.erased_list import ErasedList
from desireline.sidecar.privacy.keyed_digests import KeyedDigests
from desireline.sidecar.privacy.trained_on import TrainedOn
from desireline.trainer.logs.personal_data import PersonalData


class Privacy:
    """The salts, the list of what was erased, and what each cycle learned from.

    `salts/` and `privacy/` lie beside each other in the data folder: backups keep the second and
    must not keep the first.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        target: str,
        config: PrivacyConfig,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._clock = clock
        folder = data_dir / "privacy"
        digests = KeyedDigests(folder / "key")
        self.names = ClientNames(
            data_dir / "salts", target=target, days=config.salt_days, clock=clock
        )
        self.erased = ErasedList(folder / target / "erased.ndjson", digests)
        self.trained_on = TrainedOn(folder / target / "trained-on", digests)
        self.anonymise = Anonymiser(
            names=self.names,
            personal_data=PersonalData(config.personal_data),
            erased=self.erased,
        )

    def keep_promises(self, archive: EventArchive | None) -> int:
        """Delete the salts and the events whose time is over; return how many events went."""
        self.names.rotate()
        if archive is None or self._config.keep_days is None:
            return 0
        oldest = self._clock() - timedelta(days=self._config.keep_days)
        return archive.forget_before(oldest.date())
