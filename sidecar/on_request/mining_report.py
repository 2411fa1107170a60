"""What a cycle would learn from now, told before it does."""

from collections import Counter
from typing import Any

from desireline.connectors import plugins
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.learning.mining import Mining, explain, mine_target
from desireline.sidecar.target import Target
from desireline.trainer.query_vectors import RememberingEncoder
from desireline.trainer.splits import split_forward
from desireline.trainer.trust.belief import trust


def mining_report(target: Target, query: str | None = None) -> dict[str, Any]:
    """Read the log, mine its training part and count what came from where; nothing is trained.

    Args:
        target: whose log.
        query: one whose pairs are to be explained.

    Raises:
        SidecarError: the target names no log, or nothing is live yet.

    """
    live = target.generations.live()
    if live is None:
        raise SidecarError(
            f"no generation of {target.name!r} is live, so no incumbent can judge likeness;"
            " nothing was changed",
            next_step=f"run desireline reindex {target.name}",
        )
    tune = target.config.tune
    split = split_forward(
        trust(pull_sessions(target), target.config.trust).sessions,
        held_out_share=tune.held_out,
        later_share=tune.later,
        seed=tune.seed,
        judges=target.config.trust.judges,
    )
    mining = mine_target(target, split.train, RememberingEncoder(target.encoder(live.fingerprint)))
    return {
        "target": target.name,
        "pairs": len(mining.pairs.pairs),
        "queries": len({pair.anchor for pair in mining.pairs.pairs}),
        "left_out": mining.left_out,
        "judged": mining.material.judgments.frame.height,
        "sentence": mining.sentence,
        "miners": _miners(target, mining),
        "explanation": None if query is None else explain(mining, query),
    }


def _miners(target: Target, mining: Mining) -> list[dict[str, Any]]:
    """Count for every installed miner what it found and what is left of that."""
    found = Counter(each.pair.source for each in mining.found)
    kept = Counter(
        source for pair in mining.pairs.pairs for source in dict.fromkeys(pair.source.split("+"))
    )
    return [
        {
            "miner": name,
            "on": name in target.config.tune.miners,
            "found": found[name],
            "kept": kept[name],
            "accuracy": mining.sources[name].accuracy if name in mining.sources else None,
        }
        for name in plugins.names("miners")
    ]
