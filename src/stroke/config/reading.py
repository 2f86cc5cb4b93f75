"""How groups of settings are read: files of one value, the environment, and ``.env``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stroke.domain.errors import InvalidSetting

_Group = TypeVar("_Group", bound=BaseSettings)
_LONGEST_VALUE: Final = 65_536
_FOLDER: Final = "STROKE_SECRET_FILES"


def prefixed(prefix: str) -> SettingsConfigDict:
    """Return the configuration of a group whose settings begin with ``STROKE_PREFIX_``."""
    return SettingsConfigDict(
        env_prefix=f"STROKE_{prefix}_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # the input may be a password
        populate_by_name=True,
    )


class SettingsGroup(BaseSettings):
    """Settings that are read from files that NAME_FILE names, the environment, and ``.env``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = _NamedFiles(settings_cls, dotenv_settings, env_settings)
        return init_settings, files, env_settings, dotenv_settings, file_secret_settings


class _NamedFiles(EnvSettingsSource):
    """The values of the files that NAME_FILE names, in one of ``sources``; the last one counts."""

    def __init__(
        self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        self._sources = sources
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        known: dict[str, str | None] = {}
        for source in self._sources:
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                known |= source.env_vars
        folder = known.get(_FOLDER.lower())
        found: dict[str, str | None] = {}
        for name in _names(self.settings_cls):
            setting, path = f"{name}_FILE", known.get(f"{name}_file".lower())
            if path is None and folder and Path(folder, name).is_file():
                setting, path = _FOLDER, str(Path(folder, name))
            if path and (value := content_of(setting, path)):
                found[name.lower()] = value
        return found


def _names(group: type[BaseSettings]) -> Iterator[str]:
    """Yield each name that a setting of the group has in the environment."""
    prefix = group.model_config.get("env_prefix", "")
    for name, field in group.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield from (str(choice) for choice in alias.choices)
        else:
            yield f"{prefix}{name}".upper()


def content_of(name: str, path: str | Path) -> str:
    """Return what the file holds, without one line break at its end.

    Raises ``InvalidSetting`` where it cannot be read, or can be no value.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            text = file.read(_LONGEST_VALUE + 1)
    except (OSError, UnicodeDecodeError, ValueError):
        raise InvalidSetting(f"{name}: {path} cannot be read as a file of text") from None
    if len(text) > _LONGEST_VALUE or "\0" in text:
        raise InvalidSetting(f"{name}: {path} is too long, or no text, to be a value")
    return text.removesuffix("\n").removesuffix("\r")


def parted(text: object) -> object:
    """Return the parts of a text between commas, without blanks; what is no text stays."""
    if not isinstance(text, str):
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip())


Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s*]+)$")], ...],
    NoDecode,
    BeforeValidator(parted),
]
"""Origins of pages, with commas between; ``*`` is each of them."""


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("write addresses or networks such as 10.0.0.0/8, with commas") from None
    return text


Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(parted)
]
"""Addresses and networks, with commas between."""


def pairs_of(text: str) -> dict[str, str]:
    """Return NAME=VALUE pairs with commas between as a dict. Raises ``ValueError``."""
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        # The last sign: a name of the provider may hold others.
        name, sign, value = (part.strip() for part in pair.rpartition("="))
        if not (name and sign and value):
            raise ValueError("write NAME=VALUE, several with commas")
        if name in found:
            raise ValueError("has a name twice")
        found[name] = value
    return found


def loaded(settings: type[BaseModel]) -> dict[str, Any]:
    """Return each group of ``settings``, by its field. Raises ``InvalidSetting``."""
    # Each field is a group of settings.
    fields: dict[str, Any] = {n: field.annotation for n, field in settings.model_fields.items()}
    return {name: loaded_group(group) for name, group in fields.items()}


def loaded_group(group: type[_Group]) -> _Group:
    """Read one group. Raises ``InvalidSetting`` that names what is wrong, without its value."""
    try:
        return group()
    except ValidationError as error:
        raise InvalidSetting(_explain(group, error)) from None


def _explain(group: type[BaseSettings], error: ValidationError) -> str:
    prefix = group.model_config.get("env_prefix", "")
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        known_by_field = field in group.model_fields
        name = f"{prefix}{field}".upper() if known_by_field else field
        said = problem["msg"].removeprefix("Value error, ") if not name else problem["msg"]
        problems.append(f"{name}: {said}" if name else said)
    return "; ".join(problems)
