"""Composition of risk models: their store, their limits, and the trial before they are trusted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stroke.adapters.confined.process import ConfinedProcess, Limits
from stroke.adapters.onnx.declared_features import read_further
from stroke.adapters.onnx.folder_store import FolderStore
from stroke.adapters.onnx.graph import GraphLimits
from stroke.adapters.onnx.manifest import MANIFEST, read_manifest
from stroke.adapters.onnx.model import OnnxRiskModel, read_graph
from stroke.adapters.onnx.provenance import read_provenance
from stroke.adapters.onnx.store import SHIPPED, ModelStore
from stroke.adapters.onnx.trial import GraphTrial, Tried
from stroke.application.models.ports import ArtefactStore
from stroke.application.predictions.soundness import TOLERANCE, soundness
from stroke.config import ModelSettings
from stroke.config.urls import S3
from stroke.container.simulation import verification_patients
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound
from stroke.domain.further import Further
from stroke.domain.risk import ModelDescription

_log = logging.getLogger("stroke.models")


def graph_limits(settings: ModelSettings) -> GraphLimits:
    """Return what a graph may take where it is served."""
    return GraphLimits(settings.max_file_bytes, settings.memory_bytes, settings.run_seconds)


def confined_process(settings: ModelSettings) -> ConfinedProcess:
    """Return what runs the processes of an import."""
    limits = Limits(
        settings.import_seconds,
        settings.import_memory_bytes,
        # Candidates and probabilities as JSON: several times the graph itself.
        8 * settings.max_file_bytes,
    )
    return ConfinedProcess(limits)


def graph_trial(settings: ModelSettings) -> GraphTrial:
    """Return what tries a graph in a process of its own."""
    return GraphTrial(confined_process(settings), graph_limits(settings))


def try_graph(
    settings: ModelSettings,
    path: Path,
    may_be_missing: Sequence[str] = (),
    further: Further = (),
) -> tuple[bytes, Tried]:
    """Return the graph in the file ``path``, and what its trial found.

    Some of the patients that it is tried on lack what ``may_be_missing``; they have values of the
    ``further`` features. Raises ``ModelNotFound``
    or ``InvalidModel``.
    """
    content = read_graph(path, graph_limits(settings))
    return content, graph_trial(settings)(content, may_be_missing, further)


def declared_features(path: Path) -> Further:
    """Return the features that the JSON file ``path`` declares. Raises ``InvalidData``."""
    return read_further(path)


def model_store(settings: ModelSettings) -> ModelStore:
    """Return where models are found."""
    return ModelStore(artefact_store(settings))


def artefact_store(settings: ModelSettings) -> ArtefactStore:
    """Return what keeps the models that were trained and imported: a folder, or a bucket.

    Nothing is opened yet. Raises ``InvalidSetting``.
    """
    address = str(settings.store)
    if not address.startswith(S3):
        return FolderStore(Path(address))
    bucket = address.removeprefix(S3).strip("/")
    if not bucket:
        raise InvalidSetting("STROKE_MODEL_STORE: s3:// must be followed by a bucket's name")
    # What speaks to S3 is slow to import, and most have their models in a folder.
    from stroke.adapters.onnx.bucket_store import BucketStore  # noqa: PLC0415
    from stroke.container.buckets import s3_files  # noqa: PLC0415

    files = s3_files(
        endpoint=settings.s3_endpoint,
        path_style=settings.s3_path_style,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
    return BucketStore(
        files, bucket, settings.cache, most_bytes=settings.max_file_bytes, tell=_log.warning
    )


def folder_that_is_not_there(settings: ModelSettings) -> str | None:
    """Return where the store's folder would be, if it is not there (yet); None for any other."""
    store = artefact_store(settings)
    missing = isinstance(store, FolderStore) and not store.folder.exists()
    return store.place if missing else None


def check_free(
    settings: ModelSettings, name: str, *, replace: bool, output: Path | None = None
) -> None:
    """Return if a model may be written under ``name``, or as the folder ``output``.

    Raises ``InvalidData``, and ``ModelStoreUnavailable``.
    """
    place, called = _place_of(settings, name, output)
    place.check_free(called, replace=replace)


def write_model(
    settings: ModelSettings,
    name: str,
    files: Mapping[str, bytes],
    *,
    replace: bool,
    output: Path | None = None,
    accept: Callable[[Path], object] = lambda _: None,
) -> None:
    """Write the files of an artefact into the store, or as the folder ``output``: all or none.

    ``accept`` sees it before, and raises to refuse it. Raises ``InvalidData``, ``InvalidSetting``,
    ``ModelStoreUnavailable`` and what ``accept`` raises.
    """
    place, called = _place_of(settings, name, output)
    place.put(called, files, replace=replace, accept=accept)


def _place_of(settings: ModelSettings, name: str, output: Path | None) -> tuple[ArtefactStore, str]:
    if output is None:
        return artefact_store(settings), name
    whole = output.resolve()
    return FolderStore(whole.parent), whole.name


def load_model(settings: ModelSettings, saved_model: str | None = None) -> OnnxRiskModel:
    """Return the model called ``saved_model``, by default the one that the settings name.

    An artefact's manifest vouches for its graph by its sha256: training and import wrote both
    after they had tried the graph. A bare ``.onnx`` file has no such word and is tried first.
    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    path = model_store(settings).locate(saved_model or settings.saved_model)
    if path.is_file():
        try:
            try_graph(settings, path)
        except InvalidModel as refusal:
            raise InvalidModel(f"{path}: {refusal}") from None
    return load_artefact(settings, path)


def load_artefact(settings: ModelSettings, path: Path) -> OnnxRiskModel:
    """Return the model at ``path`` untried. Raises ``ModelNotFound`` or ``InvalidModel``.

    Where the settings name public keys, one of them must have signed it. The shipped default is
    part of the program, like the code that checks signatures.
    """
    if settings.public_keys is None or SHIPPED in path.resolve().parents:
        return OnnxRiskModel(path, graph_limits(settings))
    if not path.is_dir():
        raise InvalidModel(
            f"{path} is a bare graph, which has no signature: import it and sign it "
            "(STROKE_MODEL_PUBLIC_KEYS is set)"
        )
    digests = _signed(path, settings.public_keys)
    return OnnxRiskModel(path, graph_limits(settings), signed=digests)


def load_deployable(settings: ModelSettings, name: str) -> OnnxRiskModel:
    """Return the model of a name or a version in the store, as any worker finds it, too.

    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    return load_artefact(settings, model_store(settings).by_name_or_version(name))


def verified(settings: ModelSettings, name: str) -> OnnxRiskModel:
    """Return such a model once its explanations have been checked, as `stroke model verify` does.

    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    model = load_deployable(settings, name)
    found = soundness(model, verification_patients(model.description.further))
    if not found.is_sound:
        raise InvalidModel(
            f"{model.description.version} is not sound: its contributions miss the logit by "
            f"{found.largest_gap:.3g} (allowed {TOLERANCE:g})"
        )
    return model


def describe_version(settings: ModelSettings, version: str) -> ModelDescription:
    """Return what a model of the store, or its archive, says of itself; its graph is not loaded.

    Raises ``ModelNotFound`` where no model that may be loaded has this version.
    """
    folder = model_store(settings).with_version(version)
    if folder is None:
        raise ModelNotFound(f"no model has the version {version}")
    try:
        return _described(settings, folder)
    except InvalidModel as refusal:
        raise ModelNotFound(f"no model with the version {version} may be used") from refusal


def describe_deployable(settings: ModelSettings, name: str) -> ModelDescription:
    """Return what the model of a name or a version says of itself; its graph is not loaded.

    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    return _described(settings, model_store(settings).by_name_or_version(name))


def _described(settings: ModelSettings, folder: Path) -> ModelDescription:
    signed = None
    if settings.public_keys is not None and SHIPPED not in folder.resolve().parents:
        signed = _signed(folder, settings.public_keys)[MANIFEST]
    return read_manifest(folder, sha256=signed).description


def _signed(folder: Path, keys: Path) -> dict[str, str]:
    """Return the sha256 of each file of an artefact that one of the public ``keys`` signed.

    Raises ``InvalidModel``, also where the keys cannot be read: no model counts then, and those
    that are served already go on.
    """
    # Cryptography is slow to import, and not everybody signs.
    from stroke.adapters.onnx.signing import public_keys, signed_digests  # noqa: PLC0415

    try:
        known = public_keys(keys)
    except InvalidSetting as error:
        raise InvalidModel(f"{folder} cannot be checked: {error}") from error
    return signed_digests(folder, known)


def sign_model(settings: ModelSettings, name: str, key: Path) -> tuple[str, str]:
    """Sign an artefact with the private key in a PEM file; return its version and the key's id.

    Raises ``ModelNotFound``, ``InvalidModel`` or ``InvalidSetting``.
    """
    from stroke.adapters.onnx.signing import private_key, sign, signature_of  # noqa: PLC0415

    store = model_store(settings)
    folder = store.locate(name)
    if SHIPPED in folder.resolve().parents or not folder.is_dir():
        raise InvalidModel(f"{name} is no artefact of the store: only those are signed")
    model = OnnxRiskModel(folder, graph_limits(settings))
    version, signer = model.description.version, private_key(key)
    if name not in store.kept.names() and store.kept.with_version(version) != folder:
        return version, sign(folder, signer)  # an artefact beside the store, by its path
    content, signed_by = signature_of(folder, signer)
    store.kept.put_signature(folder, content)
    return version, signed_by


def archive_model(settings: ModelSettings, name: str) -> str:
    """Take a model's name out of the store; return the version by which it can still be used.

    Raises ``ModelNotFound``, ``InvalidModel``, and ``InvalidSetting`` for the served model.
    """
    store, saved = model_store(settings), settings.saved_model
    folder = store.kept.stored(name)
    # In a bucket one artefact may have several names, of which this may be another one.
    by_another_name = saved != name and saved in store.kept.names()
    if saved is not None and not by_another_name and store.locate(saved) == folder:
        raise InvalidSetting(f"{name} is served (SAVED_MODEL): name another model there first")
    return store.kept.archive(name)


@dataclass(frozen=True, slots=True)
class Listed:
    """An artefact of the store. ``signed_by`` is what its signature's file says, unchecked."""

    name: str | None
    version: str
    sha256: str
    made_at: datetime | None
    made_by: str | None
    stroke_version: str | None
    data_sha256: str | None
    signed_by: str | None
    parent_version: str | None = None


def listed_models(settings: ModelSettings, *, archived: bool = False) -> list[Listed]:
    """Return the artefacts of the store by their names; with ``archived``, those without, too.

    An artefact that cannot be read is left out. A bare file is none.
    """
    store = model_store(settings)
    found: list[tuple[str | None, Path]] = [(name, store.locate(name)) for name in store.names()]
    if archived:
        found += [(None, store.locate(version)) for version in store.kept.archived()]
    models = []
    for name, folder in found:
        with suppress(ModelNotFound, InvalidModel):
            models.append(_listed(name, folder))
    return models


def _listed(name: str | None, folder: Path) -> Listed:
    from stroke.adapters.onnx.signing import read_signature  # noqa: PLC0415 -- as above

    manifest, made = read_manifest(folder), read_provenance(folder)
    signature = read_signature(folder)
    key = None if signature is None else str(signature.get("key"))
    data = manifest.training.get("sha256")
    if made is None:
        return Listed(name, manifest.version, manifest.sha256, None, None, None, data, key)
    return Listed(
        name,
        manifest.version,
        manifest.sha256,
        made.made_at,
        made.made_by,
        made.stroke_version,
        made.data_sha256 or data,
        key,
        made.parent_version,
    )
