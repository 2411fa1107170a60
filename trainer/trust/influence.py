"""How much one client, or one subnet, may say of a query or a document.

What one may say of a query is counted in searches, and a search over the limit is left out whole:
to leave out its clicks alone would make skips of what was clicked. Every limit depends on the
searches of the same query, or of the same client or subnet, and on nothing else; so nobody's
events change what others say elsewhere.
"""

from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel, Field

NOT_SHOWN = "clicks on documents that their search did not show"
CLIENT = "clicks over a client's share"
SUBNET = "clicks over a subnet's share"

#: A subnet with more than this share of all clients is no household.
_FEW = 0.05
_ANY = pl.lit(value=True)


class InfluenceConfig(BaseModel, frozen=True, extra="forbid"):
    """Most that one client or one subnet may say."""

    searches_a_client: int = Field(
        default=2, ge=1, description="Most searches of one query that one client teaches by."
    )
    queries_a_client: int = Field(
        default=2,
        ge=1,
        description="Most queries under which one client's clicks speak for one document.",
    )
    searches_a_subnet: int = Field(
        default=2,
        ge=1,
        description="Searches of one query that a subnet may always teach by, however many clients"
        " it has.",
    )
    share_a_subnet: float = Field(
        default=0.25,
        ge=0,
        description="Where others typed the query too, as many as this for each of their searches.",
    )
    queries_a_subnet: int = Field(
        default=4,
        ge=1,
        description="Most queries under which one subnet's clicks speak for one document.",
    )
    only_shown: bool = Field(
        default=True,
        description="Leave out clicks on documents that are not on the list of their search; false"
        " where the log lists less than users saw.",
    )


def limit_influence(rows: pl.DataFrame, config: InfluenceConfig) -> pl.DataFrame:
    """Set `left_out`, which says why a row is not believed and is null where it is.

    Of what is over a limit the earliest is believed, so that a late flood cannot push out what
    was said before.

    Args:
        rows: of sessions, with that column.
        config: the limits.

    """
    judged = rows
    if config.only_shown:
        unseen = pl.col("clicked") & ~pl.col("shown") & pl.col("shown").any().over("query_id")
        judged = rows.with_columns(
            left_out=pl.when(pl.col("left_out").is_null() & unseen)
            .then(pl.lit(NOT_SHOWN))
            .otherwise("left_out")
        )
    judged = _searches_over(judged, "client", CLIENT, pl.lit(config.searches_a_client))
    judged = _documents_over(judged, "client", CLIENT, config.queries_a_client)
    if not _subnets_tell(rows):
        return judged
    others = pl.len().over("query") - pl.len().over("subnet", "query")
    limit = pl.max_horizontal(
        pl.lit(float(config.searches_a_subnet)), config.share_a_subnet * others
    )
    judged = _searches_over(judged, "subnet", SUBNET, limit)
    return _documents_over(judged, "subnet", SUBNET, config.queries_a_subnet)


def _subnets_tell(rows: pl.DataFrame) -> bool:
    """Say whether most clients are in subnets of few.

    Behind one proxy, or in one company, a subnet is everybody and no voice of its own. An
    attacker would have to bring as many clients as there are to make it seem so.
    """
    clients = rows.filter((pl.col("subnet") != "") & (pl.col("client") != ""))
    people = clients.group_by("subnet").agg(pl.col("client").n_unique()).get_column("client")
    everybody = int(people.sum())
    return 2 * int(people.filter(people <= _FEW * everybody).sum()) >= everybody


def _searches_over(rows: pl.DataFrame, who: str, reason: str, limit: pl.Expr) -> pl.DataFrame:
    """Leave out whole what one said of a query in more searches than the limit."""
    searches = (
        rows.filter(pl.col("left_out").is_null())
        .group_by("query_id", "query", who)
        .agg(pl.col("at").min())
        .with_columns(
            nth=pl.int_range(1, pl.len() + 1).over(who, "query", order_by=["at", "query_id"]),
            limit=limit,
        )
        .filter((pl.col(who) != "") & (pl.col("nth") > pl.col("limit")))
    )
    return leave_out(rows, searches, ["query_id", "query"], reason)


def _documents_over(rows: pl.DataFrame, who: str, reason: str, limit: int) -> pl.DataFrame:
    """Leave out the clicks of one on a document under more queries than the limit."""
    clicked = pl.col("clicked")
    queries = (
        rows.filter(clicked & pl.col("left_out").is_null() & (pl.col(who) != ""))
        .group_by(who, "document_id", "query")
        .agg(pl.col("at").min())
        .with_columns(
            nth=pl.int_range(1, pl.len() + 1).over(who, "document_id", order_by=["at", "query"])
        )
        .filter(pl.col("nth") > limit)
    )
    return leave_out(rows, queries, [who, "document_id", "query"], reason, among=clicked)


def leave_out(
    rows: pl.DataFrame,
    over: pl.DataFrame,
    key: Sequence[str],
    reason: str,
    *,
    among: pl.Expr = _ANY,
) -> pl.DataFrame:
    """Give the reason to the rows, of those among, with a key in `over` and no reason yet."""
    marked = rows.join(
        over.select(key).unique().with_columns(over=pl.lit(value=True)),
        on=key,
        how="left",
        maintain_order="left",
    )
    hit = pl.col("over").fill_null(value=False) & among & pl.col("left_out").is_null()
    return marked.with_columns(
        left_out=pl.when(hit).then(pl.lit(reason)).otherwise("left_out")
    ).drop("over")
