"""How a model, in its manifest, or a file for a training declares features of its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError, model_validator

from stroke.adapters.onnx.manifest_parts import ManifestPart
from stroke.domain.errors import InvalidData
from stroke.domain.further import FeatureKind, FurtherFeature, check_declared


class DeclaredFeature(ManifestPart):
    """A feature that the model declares for itself; ``FurtherFeature`` says what may be in it.

    ``range`` is a number's lowest and highest value. Explanations compare with ``reference``.
    """

    name: str
    type: FeatureKind
    range: tuple[float, float] | None = None
    unit: str = ""
    categories: tuple[str, ...] = ()
    may_be_missing: bool = False
    reference: float | str | None = None

    @model_validator(mode="after")
    def _whole(self) -> DeclaredFeature:
        if (self.range is None) == (self.type is FeatureKind.NUMBER):
            raise ValueError(f"{self.name}: a number has a range, and nothing else has one")
        self.value  # noqa: B018 -- it checks itself
        return self

    @property
    def value(self) -> FurtherFeature:
        """The declaration in the domain's words."""
        low, high = self.range or (0.0, 1.0)
        return FurtherFeature(
            self.name,
            self.type,
            low,
            high,
            self.unit,
            self.categories,
            self.may_be_missing,
            self.reference,
        )

    @classmethod
    def of(cls, feature: FurtherFeature) -> DeclaredFeature:
        """Return the part of a manifest that declares ``feature``."""
        return cls.model_validate(feature.as_data())


class _FurtherFile(ManifestPart):
    features: tuple[DeclaredFeature, ...]


def read_further(path: Path) -> tuple[FurtherFeature, ...]:
    """Return the features that the JSON file ``path`` declares: a list, as a manifest has it.

    Raises ``InvalidData`` saying what is wrong with it.
    """
    try:
        text = path.read_bytes()
        features = _FurtherFile.model_validate_json(b'{"features":%s}' % text).features
        further = tuple(each.value for each in features)
        check_declared(further)
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"][1:]))
        raise InvalidData(f"{path}: {f'{place}: ' if place else ''}{first['msg']}") from error
    except ValueError as error:
        raise InvalidData(f"{path}: {error}") from error
    return further
