"""How far a click log carries: tiers, what each unlocks, and what is missing for the next.

The idea is that of retail search services, which show merchants how complete their data is and
what that buys them. A tier is reached when its own needs and those of every tier before it are
met; the shares are of clicks that can be joined to a search, bots left out.
"""

from dataclasses import dataclass

#: A log this short cannot be split forward in time with any meaning.
_ENOUGH_DAYS = 7
#: Agreement takes two.
_ENOUGH_CLIENTS = 2
#: Most clicks must have a place, and a person behind them.
_MOST = 0.5
#: Every last event of a visit has no dwell, so most clicks may lack it.
_SOME = 0.2
HIGHEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tiers are judged by."""

    clicks: int
    #: Share of the clicks whose document is known to have been shown at a known position.
    placed: float
    #: Share of the clicks that name a client.
    named: float
    #: Share of the clicks after which the same client did something else before long.
    with_dwell: float
    clients: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that a tier asks of a log."""

    met: bool
    #: What is asked for, what was found, and how much is needed.
    sentence: str
    #: What to do about it.
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One step of the ladder."""

    number: int
    title: str
    #: What can be done from here on, in one sentence.
    unlocks: str
    needs: tuple[Need, ...]
    #: Whether its needs and those of all tiers before it are met.
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The ladder, and where on it a log stands."""

    tier: int
    tiers: tuple[Tier, ...]
    #: One sentence: what to mend for the next tier.
    next_step: str


def readiness(facts: Facts) -> Readiness:
    """Climb until something is missing."""
    tiers: list[Tier] = []
    reached = True
    for number, (title, unlocks, needs) in enumerate(_ladder(facts)):
        reached = reached and all(need.met for need in needs)
        tiers.append(
            Tier(number=number, title=title, unlocks=unlocks, needs=needs, reached=reached)
        )
    tier = sum(each.reached for each in tiers) - 1
    return Readiness(tier=tier, tiers=tuple(tiers), next_step=_next_step(tiers, tier))


def _ladder(facts: Facts) -> list[tuple[str, str, tuple[Need, ...]]]:
    return [
        (
            "documents",
            "Learning without a click: the fields of a document teach each other"
            " (self-supervised; tune.without_clicks).",
            (),
        ),
        (
            "clicks",
            "Learning from what people chose for a query, and proving on held-out clicks that a"
            " new encoder is better.",
            (_some_clicks(facts),),
        ),
        (
            "positions",
            "Correcting for position: a document that merely stood on top is told from a good"
            " one, and one that was looked at and skipped becomes a negative.",
            (_placed(facts),),
        ),
        (
            "people and days",
            "Trust: how many people agree is known, bots are found, one client counts once a day;"
            " and the proof is made on days after those learned from.",
            (_named(facts), _clients(facts), _days(facts)),
        ),
        (
            "dwell",
            "Telling a click that satisfied from one that came straight back.",
            (_with_dwell(facts),),
        ),
    ]


def _next_step(tiers: list[Tier], tier: int) -> str:
    if tier == HIGHEST:
        return "nothing is missing"
    mends = [need.mend for need in tiers[tier + 1].needs if not need.met]
    return f"{', and '.join(mends)} to reach the next"


def _some_clicks(facts: Facts) -> Need:
    return Need(
        met=facts.clicks > 0,
        sentence="a click: none can be joined to a search",
        mend="log clicks with the query_id of their search",
    )


def _placed(facts: Facts) -> Need:
    return Need(
        met=facts.clicks > 0 and facts.placed >= _MOST,
        sentence=f"known positions: {facts.placed:.0%} of the clicks are on a document that the log"
        f" says was shown, and where; {_MOST:.0%} must be",
        mend="log the ids of the documents shown (query_response_hit_ids), the same ids that"
        " clicks carry,",
    )


def _named(facts: Facts) -> Need:
    return Need(
        met=facts.clicks > 0 and facts.named >= _MOST,
        sentence=f"clients: {facts.named:.0%} of the clicks name one; {_MOST:.0%} must",
        mend="log a client_id with every event",
    )


def _clients(facts: Facts) -> Need:
    return Need(
        met=facts.clients >= _ENOUGH_CLIENTS,
        sentence=f"different clients: {facts.clients:,} searched; {_ENOUGH_CLIENTS} must have",
        mend="give each client an id of its own",
    )


def _days(facts: Facts) -> Need:
    return Need(
        met=facts.days >= _ENOUGH_DAYS,
        sentence=f"days: {facts.days:,} with searches; {_ENOUGH_DAYS} are needed",
        mend=f"let the log grow to {_ENOUGH_DAYS} days or more",
    )


def _with_dwell(facts: Facts) -> Need:
    return Need(
        met=facts.clicks > 0 and facts.with_dwell > _SOME,
        sentence=f"dwell: after {facts.with_dwell:.0%} of the clicks the log knows what the same"
        f" client did next; it must after more than {_SOME:.0%}",
        mend="add dwell times (log what users do after a click)",
    )
