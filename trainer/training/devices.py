"""Where training runs, on how many cores, and in which numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig


def training_device(asked: str = "auto") -> Literal["cpu", "cuda"]:
    """Where this machine trains: `cuda` or `cpu`.

    Raises:
        TrainerError: it has no such device.

    """
    there: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    if asked in {"auto", there}:
        return there
    if asked == "cpu":
        return "cpu"
    raise TrainerError(
        f"device is {asked!r}, and this machine trains on {there}; nothing was trained",
        next_step="leave device out; which GPUs are seen, CUDA_VISIBLE_DEVICES says",
    )


def half_precision(config: FitConfig) -> bool:
    """Whether the forward pass is in bfloat16; without hardware for it, it would be slower.

    The processor is asked what it is built for and not timed: a timing may tell two runs of one
    training apart.
    """
    if config.precision != "auto":
        return config.precision == "bfloat16"
    if training_device(config.device) == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def attentions(config: FitConfig) -> tuple[str, ...]:
    """Name transformers' kinds of attention to train with, the fastest first.

    On a GPU torch's fused one, which takes its flash kernel where it can: that of the package
    flash_attn reads half precision alone, and an encoder is measured in float32. On a processor the
    plain one, since the backward pass of the fused one makes bfloat16 slower there.
    """
    return ("sdpa", "eager") if training_device(config.device) == "cuda" else ("eager",)


@contextmanager
def processor_threads(count: int | None) -> Iterator[None]:
    """Set torch's processor threads for a while; None leaves them as they are: all cores."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def fast_hardware(config: FitConfig) -> Iterator[None]:
    """Set processor threads, and TF32 on a GPU unless float32 is asked for, for a while."""
    matrices, convolutions = (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    )
    if training_device(config.device) == "cuda" and config.precision != "float32":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    try:
        with processor_threads(config.threads):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matrices
        torch.backends.cudnn.allow_tf32 = convolutions
