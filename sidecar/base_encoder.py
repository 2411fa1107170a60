"""The encoder a user names, in the registry; imported once, in a child process."""

from desireline.sidecar.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import ImportJob


def registered(target: Target, source: str) -> str | None:
    """Return the fingerprint of a registered encoder by its own name or its source's."""
    try:
        return target.registry.resolve(source)
    except TrainerError:
        pass
    template = target.config.template
    for manifest in target.registry.list():
        if (
            manifest.provenance.base_model == source
            and manifest.provenance.parent is None
            and manifest.text_template == template
        ):
            return manifest.fingerprint
    return None


def resolve(target: Target, source: str, reporter: Reporter) -> str:
    """Return the fingerprint of the encoder, importing it if it is not registered yet.

    Raises:
        WorkerError: it cannot be imported; the sentence says why.

    """
    fingerprint = registered(target, source)
    if fingerprint is not None:
        return fingerprint
    reporter.step("encoder", f"importing {source} and exporting it to ONNX")
    template = target.config.template
    result = target.worker.run(
        ImportJob(
            source=source,
            registry=target.registry.root,
            template=template.fields,
            separator=template.separator,
        ),
        reporter,
    )
    return str(result["fingerprint"])
