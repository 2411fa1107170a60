"""The encoder a user names, in the registry; imported once, in a child process."""

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.trainer.errors import SignatureError, TrainerError
from desireline.trainer.jobs import ImportJob
from desireline.trainer.models.manifest import Manifest

log = structlog.get_logger(__name__)


def registered(target: Target, source: str) -> str | None:
    """Return the fingerprint of a registered encoder by its own name or its source's."""
    try:
        return target.registry.resolve(source)
    except TrainerError:
        pass
    found = (each for each in target.registry.list() if _is_import(target, each, source))
    return next((manifest.fingerprint for manifest in found), None)


def resolve(target: Target, source: str, reporter: Reporter) -> str:
    """Return the fingerprint of the encoder, importing it if no registry holds it yet.

    Raises:
        SignatureError: only signed models are taken here, and this machine cannot sign.
        WorkerError: it cannot be imported; the sentence says why.

    """
    fingerprint = registered(target, source) or _shared(target, source, reporter)
    if fingerprint is not None:
        return fingerprint
    if not target.registry.trust.admits_unsigned:
        raise SignatureError(
            f"{source} is signed by nobody, and registry.require_signature is on; it was not"
            " imported",
            next_step="import it on a machine with a signing key, and desireline models push there",
        )
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


def _is_import(target: Target, manifest: Manifest, source: str) -> bool:
    return (
        manifest.provenance.base_model == source
        and manifest.provenance.parent is None
        and manifest.text_template == target.config.template
    )


def _shared(target: Target, source: str, reporter: Reporter) -> str | None:
    """Look for what another machine imported: no torch is needed to take it.

    What may not be taken is passed over, so that nobody can put it before a good one.
    """
    registry = target.registry
    if registry.shared is None:
        return None
    try:
        for manifest in registry.shared.manifests():
            if _is_import(target, manifest, source):
                reporter.step("encoder", f"taking {source} from {registry.shared.name}")
                if taken := _taken(target, manifest, reporter):
                    return taken
    except DesirelineError as error:
        log.warning("the shared registry was of no help", reason=str(error))
        reporter.step("encoder", f"the shared registry was of no help: {error}")
    return None


def _taken(target: Target, manifest: Manifest, reporter: Reporter) -> str | None:
    try:
        return target.registry.bring(manifest.fingerprint).fingerprint
    except TrainerError as error:
        log.warning("a shared encoder was refused", model=manifest.fingerprint, reason=str(error))
        reporter.step("encoder", f"not taken: {error}")
        return None
