"""Whether a head may serve: better than no head at all, and not proved worse than what serves."""

from dataclasses import dataclass

from desireline.trainer.intent.scoring import IntentScore, difference

#: Fewer held-out queries prove nothing, whatever they say.
FEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentVerdict:
    """The decision and its reason in one sentence."""

    promote: bool
    reason: str


def judge_head(
    candidate: IntentScore,
    majority: IntentScore,
    serving: IntentScore | None,
    *,
    seed: int = 0,
) -> IntentVerdict:
    """Decide whether a head may take the place of the one that serves, or be the first.

    It must name the right category surely more often than who always names the most frequent one.
    Every night's head is made anew from the window of the log, so that it need not be better than
    the last: but its log-loss, which asks for right confidences too, must not be proved worse.

    Args:
        candidate: the head just learned.
        majority: the most frequent category, always.
        serving: the head that serves, by its own encoder; None where there is none.
        seed: of the bootstrap.

    """
    if len(candidate.right) < FEWEST:
        return IntentVerdict(
            promote=False,
            reason=f"{len(candidate.right)} held-out queries prove nothing; {FEWEST} are needed",
        )
    gain = difference(candidate.right, majority.right, seed=seed)
    if gain.low <= 0:
        return IntentVerdict(
            promote=False,
            reason="it is not surely right more often than the most frequent category is: accuracy"
            f" {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
        )
    told = (
        f"accuracy {candidate.overall['accuracy'].value:.3f} on {len(candidate.right):,} held-out"
        f" queries, {majority.overall['accuracy'].value:.3f} by the most frequent category"
    )
    if serving is None:
        return IntentVerdict(promote=True, reason=told)
    worse = difference(candidate.losses, serving.losses, seed=seed)
    before = f"log-loss {worse.value:+.3f} [{worse.low:+.3f}, {worse.high:+.3f}]"
    if worse.low > 0:
        return IntentVerdict(
            promote=False, reason=f"it is worse than the head that serves: {before}"
        )
    return IntentVerdict(promote=True, reason=f"{told}; against the head that serves, {before}")
