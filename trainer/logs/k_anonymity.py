"""Who surely are different people, so that nothing is learned from what too few of them did."""

import polars as pl

#: Before the digest in a hashed client's name: the mark of the salt it was hashed with.
SALT_MARK = "salt-"
_SALT = rf"^({SALT_MARK}[0-9a-f]+)~"


def clients_by(rows: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Count the people who are surely different, for each value of some columns.

    A client gets another name when the salt rotates, so in a long window one person may go by
    several names. Names of one salt are different people: what counts is the most names that any
    one salt's time saw, which is never more than there were people. Events that name no client
    count as one person together, and not at all beside any that do: they may be the same.

    Args:
        rows: with a column `client` beside the keys.
        keys: columns to count by.

    Returns:
        The keys and `clients`, one row for each value of the keys.

    """
    names = rows.lazy().select(*keys, "client").unique()
    salt = (
        pl.col("client")
        .str.extract(_SALT)
        .fill_null(pl.when(pl.col("client") == "").then(pl.lit("nobody")).otherwise(pl.lit("")))
    )
    of_each_salt = names.group_by(*keys, salt=salt).agg(clients=pl.len())
    return of_each_salt.group_by(*keys).agg(pl.col("clients").max()).collect()


def known_to_enough(rows: pl.DataFrame, searches: pl.DataFrame, min_clients: int) -> pl.DataFrame:
    """Leave out the rows of queries that fewer clients typed.

    Args:
        rows: with a column `query`.
        searches: `query` and `client` of each search.
        min_clients: with 1 nothing is left out.

    """
    if min_clients <= 1:
        return rows
    enough = clients_by(searches, "query").filter(pl.col("clients") >= min_clients)
    return rows.join(enough, on="query", how="semi", maintain_order="left")
