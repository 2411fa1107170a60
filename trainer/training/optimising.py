"""How weights move: optimiser, learning rate of each layer, and its schedule."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import SchedulerType, get_scheduler

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.naming import take_one_of

_LAYER = re.compile(r"\.(?:layers?|h|block)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:\w*embeddings?)\.")
#: Weights that no decay pulls on.
_STIFF = re.compile(r"(?:bias$|norm)", re.IGNORECASE)


def optimiser_of(
    model: torch.nn.Module, loss: torch.nn.Module, config: FitConfig
) -> torch.optim.Optimizer:
    """Make the optimiser of all weights that train, those of the loss among them.

    Decay pulls on no bias and no norm. With `layer_wise_lr_decay` below 1, each layer learns
    slower than the one above it by that factor (Howard and Ruder 2018).

    Raises:
        TrainerError: torch has no such optimiser, or it takes no such option.

    """
    own = {id(parameter) for parameter in model.parameters()}
    groups = [*_groups(model, config)]
    of_loss = [p for p in loss.parameters() if p.requires_grad and id(p) not in own]
    if of_loss:
        rate = config.loss_learning_rate or config.learning_rate
        groups.append({"params": of_loss, "lr": rate, "weight_decay": 0.0})
    return _made(config.optimizer, groups, config)


def scheduler_of(optimizer: torch.optim.Optimizer, config: FitConfig, steps: int) -> Any:
    """Make what changes the learning rate; the warm-up is a share of the steps there really are.

    Raises:
        TrainerError: transformers has no such schedule, or it takes no such option.

    """
    try:
        return get_scheduler(
            config.scheduler,
            optimizer,
            num_warmup_steps=round(config.warmup_share * steps),
            num_training_steps=steps,
            scheduler_specific_kwargs=dict(config.scheduler_options) or None,
        )
    except (ValueError, TypeError) as error:
        raise TrainerError(
            f"scheduler {config.scheduler!r} cannot be made with {dict(config.scheduler_options)}:"
            f" {error}; nothing was trained",
            next_step=take_one_of(config.scheduler, [str(each.value) for each in SchedulerType]),
        ) from error


def _groups(model: torch.nn.Module, config: FitConfig) -> Iterator[dict[str, Any]]:
    depths = depths_of(model)
    found: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            stiff = bool(_STIFF.search(name))
            found.setdefault((depths[name], stiff), []).append(parameter)
    top = max(depths.values(), default=0)
    for (depth, stiff), parameters in sorted(found.items(), key=lambda entry: entry[0]):
        yield {
            "params": parameters,
            "lr": config.learning_rate * config.layer_wise_lr_decay ** (top - depth),
            "weight_decay": 0.0 if stiff else config.weight_decay,
        }


def depths_of(model: torch.nn.Module) -> Mapping[str, int]:
    """Say how deep each weight lies: 0 the embeddings, then the layers, then what is above."""
    layers = {
        name: int(found.group(1)) + 1
        for name, _ in model.named_parameters()
        if (found := _LAYER.search(name))
    }
    top = max(layers.values(), default=0) + 1
    return {
        name: layers.get(name, 0 if top > 1 and _EMBEDDING.search(name) else top)
        for name, _ in model.named_parameters()
    }


def _made(name: str, groups: list[dict[str, Any]], config: FitConfig) -> torch.optim.Optimizer:
    known = {
        each
        for each, found in vars(torch.optim).items()
        if isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
    } - {"Optimizer"}
    if name not in known:
        raise TrainerError(
            f"torch has no optimizer {name!r}; nothing was trained",
            next_step=take_one_of(name, known),
        )
    family: Any = getattr(torch.optim, name)
    options: dict[str, Any] = dict(config.optimizer_options)
    if name in {"Adam", "AdamW"}:
        options.setdefault("fused", True)
    try:
        made: torch.optim.Optimizer = family(groups, lr=config.learning_rate, **options)
    except (TypeError, ValueError) as error:
        raise TrainerError(
            f"optimizer {name} cannot be made with {dict(config.optimizer_options)}: {error};"
            " nothing was trained",
            next_step=f"look at torch.optim.{name} for its options",
        ) from error
    return made
