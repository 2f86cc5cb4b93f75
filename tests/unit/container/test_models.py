"""Names, versions, the archive and signatures of the model store, with the shipped artefact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.config import ModelSettings
from stroke.container.cards import ModelCards
from stroke.container.models import (
    archive_model,
    describe_deployable,
    describe_version,
    listed_models,
    load_deployable,
    load_model,
    sign_model,
)
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def settings(tmp_path: Path) -> ModelSettings:
    shutil.copytree(SHIPPED / DEFAULT, tmp_path / "store" / "mine")
    (tmp_path / "private.pem").write_bytes(
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return ModelSettings.model_validate({"store": tmp_path / "store", "saved_model": None})


def strict(settings: ModelSettings) -> ModelSettings:
    return settings.model_copy(update={"public_keys": Path(settings.store).parent / "public.pem"})


def test_only_a_signed_model_is_loaded_where_keys_are_named(settings: ModelSettings) -> None:
    with pytest.raises(InvalidModel, match="is not signed"):
        load_model(strict(settings), "mine")

    version, _ = sign_model(settings, "mine", Path(settings.store).parent / "private.pem")

    assert load_model(strict(settings), "mine").description.version == version
    assert load_model(strict(settings), DEFAULT)  # part of the program


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_signed_model_that_was_changed_is_not_loaded(settings: ModelSettings, name: str) -> None:
    sign_model(settings, "mine", Path(settings.store).parent / "private.pem")
    file = Path(settings.store) / "mine" / name
    file.write_bytes(file.read_bytes() + b"\n")

    with pytest.raises(InvalidModel, match="not the one that was signed"):
        load_model(strict(settings), "mine")


def test_a_model_whose_provenance_is_not_the_signed_one_is_neither_loaded_nor_described(
    settings: ModelSettings,
) -> None:
    rewritten(settings, "mine-2")
    file = Path(settings.store) / "mine" / "provenance.json"
    file.write_text('{"made_by": "ward"}')
    sign_model(settings, "mine", Path(settings.store).parent / "private.pem")
    keyed = strict(settings)
    assert load_model(keyed, "mine")

    for break_it in (lambda: file.write_text('{"made_by": "me"}'), file.unlink):
        break_it()
        for use in (load_model, load_deployable, describe_deployable):
            with pytest.raises(InvalidModel, match="not the one that was signed"):
                use(keyed, "mine")
        with pytest.raises(ModelNotFound, match="may be used"):
            describe_version(keyed, "mine-2")

    assert load_model(settings, "mine")  # where nobody asks for signatures


def test_a_bare_graph_has_no_signature(settings: ModelSettings, tmp_path: Path) -> None:
    shutil.copy(Path(settings.store) / "mine" / "model.onnx", tmp_path / "bare.onnx")

    keyed = strict(settings)

    with pytest.raises(InvalidModel, match="bare graph"):
        load_model(keyed, str(tmp_path / "bare.onnx"))


def test_the_shipped_model_is_not_signed(settings: ModelSettings) -> None:
    with pytest.raises(InvalidModel, match="only those"):
        sign_model(settings, DEFAULT, Path(settings.store).parent / "private.pem")


def test_an_archived_model_is_found_by_its_version_alone(settings: ModelSettings) -> None:
    # Another version than the shipped one, which would be found in any case.
    manifest = Path(settings.store) / "mine" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": "mine-1"}))
    assert load_model(settings, "mine-1").description.version == "mine-1"

    assert archive_model(settings, "mine") == "mine-1"

    assert load_model(settings, "mine-1").description.version == "mine-1"
    with pytest.raises(ModelNotFound):
        load_model(settings, "mine")
    with pytest.raises(ModelNotFound):
        archive_model(settings, "mine")
    names = [(each.name, each.version) for each in listed_models(settings, archived=True)]
    assert names[0][0] == DEFAULT
    assert names[1:] == [(None, "mine-1")]


@pytest.mark.parametrize("name", ["../mine", ".archive", "none", "."])
def test_only_a_name_of_the_store_is_archived(settings: ModelSettings, name: str) -> None:
    with pytest.raises(ModelNotFound):
        archive_model(settings, name)


def test_the_served_model_is_not_archived(settings: ModelSettings) -> None:
    serving = settings.model_copy(update={"saved_model": "mine"})

    with pytest.raises(InvalidSetting, match="is served"):
        archive_model(serving, "mine")


def test_a_list_says_where_models_come_from_and_who_signed_them(settings: ModelSettings) -> None:
    (Path(settings.store) / "mine" / "provenance.json").write_text(
        json.dumps(
            {
                "made_at": "2026-11-29T12:00:00+00:00",
                "made_by": "ward",
                "made_from": "labelled data",
                "stroke_version": "1.0",
                "data_sha256": "ab",
            }
        )
    )
    _, signer = sign_model(settings, "mine", Path(settings.store).parent / "private.pem")
    broken = Path(settings.store) / "broken"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(b"")

    shown = {each.name: each for each in listed_models(settings)}

    assert set(shown) == {"mine", DEFAULT}
    assert (shown["mine"].made_by, shown["mine"].stroke_version) == ("ward", "1.0")
    assert (shown["mine"].data_sha256, shown["mine"].signed_by) == ("ab", signer)
    assert shown[DEFAULT].made_at is None


def rewritten(settings: ModelSettings, version: str) -> None:
    """Give the model of the store another version."""
    manifest = Path(settings.store) / "mine" / "manifest.json"
    document = json.loads(manifest.read_text()) | {"version": version}
    manifest.write_text(json.dumps(document))


def test_a_version_is_described_from_the_store_and_from_its_archive(
    settings: ModelSettings,
) -> None:
    rewritten(settings, "mine-2")
    assert describe_version(settings, "mine-2").version == "mine-2"

    archive_model(settings, "mine")
    assert describe_version(settings, "mine-2").version == "mine-2"


@pytest.mark.parametrize("version", ["mine", "other", "..", "../store/mine", "", "/", "a\0b"])
def test_names_and_paths_are_no_versions(settings: ModelSettings, version: str) -> None:
    rewritten(settings, "mine-2")
    with pytest.raises(ModelNotFound):
        describe_version(settings, version)


def test_where_keys_are_configured_only_a_signed_model_is_described(
    settings: ModelSettings,
) -> None:
    rewritten(settings, "mine-2")
    with pytest.raises(ModelNotFound, match="may be used"):
        describe_version(strict(settings), "mine-2")

    sign_model(settings, "mine", Path(settings.store).parent / "private.pem")
    assert describe_version(strict(settings), "mine-2").version == "mine-2"

    rewritten(settings, "mine-3")
    with pytest.raises(ModelNotFound, match="may be used"):
        describe_version(strict(settings), "mine-3")


def test_the_card_of_the_served_version_needs_no_store(settings: ModelSettings) -> None:
    served = load_model(settings).description
    away = settings.model_copy(update={"store": Path(settings.store).parent / "away"})

    assert ModelCards(lambda: served, away).of(served.version).version == served.version
    with pytest.raises(ModelNotFound):
        ModelCards(lambda: served, away).of("mine-2")
