"""What names stand for in a simulated cluster, and the one request that changes it."""

import re
from collections.abc import Callable, Generator, Mapping
from copy import deepcopy
from typing import Any

from simulated_index import Index
from simulated_queries import UnknownCallError

Params = Mapping[str, str]
Request = Generator[None, None, Any]
_Held = dict[str, dict[str, Any]]


class RefusedError(Exception):
    """An answer with a status of 400 and above."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.body = {
            "error": {"type": kind, "reason": reason, "root_cause": [{"type": kind}]},
            "status": status,
        }


class Aliases:
    """Indexes by name and by alias. Every request is a generator that yields."""

    def __init__(self) -> None:
        self.indexes: dict[str, Index] = {}
        #: Told whenever names or blocks may have changed, in the same step.
        self.renamed: Callable[[], None] = lambda: None

    def named(self, expression: str) -> list[Index]:
        """Return the indexes that a name, an alias or a list of them stands for."""
        found: dict[str, Index] = {}
        for name in expression.split(","):
            held = [i for i in self.indexes.values() if name == i.name or name in i.aliases]
            if "*" in name:
                shape = re.compile(re.escape(name).replace(r"\*", ".*"))
                held = [i for i in self.indexes.values() if shape.fullmatch(i.name)]
            elif not held:
                raise no_such_index(name)
            found |= {index.name: index for index in held}
        return list(found.values())

    def is_alias(self, name: str) -> bool:
        return any(name in index.aliases for index in self.indexes.values())

    def one(self, name: str) -> Index:
        """Return the index that a write to this name goes to."""
        found = self.named(name)
        if len(found) > 1:
            found = [index for index in found if index.aliases[name].get("is_write_index")]
        if len(found) != 1:
            raise RefusedError(
                400, "illegal_argument_exception", f"no write index is defined for alias [{name}]"
            )
        return found[0]

    def aliases(self, *, params: Params, body: Any, origin: str) -> Request:
        """Carry out every action or none."""
        yield
        planned = {name: dict(index.aliases) for name, index in self.indexes.items()}
        gone: list[str] = []
        done = [
            self._plan(kind, how, planned, gone)
            for action in body["actions"]
            for kind, how in action.items()
        ]
        if not any(done):
            raise _missing(body["actions"])
        for name, held in planned.items():
            self.indexes[name].aliases = held
        for name in gone:
            del self.indexes[name]
        self.renamed()
        return {"acknowledged": True}

    def _plan(
        self, kind: str, how: Mapping[str, Any], planned: dict[str, _Held], gone: list[str]
    ) -> bool:
        """Carry one action out on copies; say whether it changes anything."""
        names = how.get("indices") or [how["index"]]
        held = [index for name in names for index in self.named(name) if index.name == name]
        if kind == "remove_index":
            gone += [index.name for index in held]
            return bool(held)
        changed = [_carry_out(kind, how, planned[index.name]) for index in held]
        return any(changed)

    def alias(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        found = {
            i.name: {"aliases": {name: i.aliases[name]}}
            for i in self.indexes.values()
            if name in i.aliases
        }
        if not found:
            raise RefusedError(404, "aliases_not_found_exception", f"alias [{name}] missing")
        return found

    def index_aliases(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        return {i.name: {"aliases": deepcopy(i.aliases)} for i in self.named(name)}


def _carry_out(kind: str, how: Mapping[str, Any], held: _Held) -> bool:
    names = how.get("aliases") or [how["alias"]]
    if kind == "add":
        keys = ("is_write_index", "filter", "routing", "is_hidden")
        held |= {name: {key: how[key] for key in keys if key in how} for name in names}
        return True
    if kind != "remove":
        raise UnknownCallError(f"alias action {kind!r}")
    missing = [name for name in names if held.pop(name, None) is None]
    if missing and how.get("must_exist"):
        raise _missing([{kind: how}])
    return len(missing) < len(names)


def no_such_index(name: str) -> RefusedError:
    return RefusedError(404, "index_not_found_exception", f"no such index [{name}]")


def _missing(actions: list[Mapping[str, Mapping[str, Any]]]) -> RefusedError:
    names = [
        n for a in actions for how in a.values() for n in how.get("aliases", [how.get("alias")])
    ]
    return RefusedError(404, "aliases_not_found_exception", f"aliases {names} missing")
