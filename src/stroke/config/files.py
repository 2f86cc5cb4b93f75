"""The files that commands read."""

from __future__ import annotations

from pydantic import BaseModel, Field

from stroke.application.predictions.file_rows import ParquetLimits, TextLimits
from stroke.config.reading import SettingsGroup, loaded, prefixed


class FilesSettings(SettingsGroup):
    """What the files that commands read may take."""

    model_config = prefixed("FILES")

    max_decoded_bytes: int = Field(
        256 * 1024 * 1024, ge=1024 * 1024, description="of a Parquet file, at once"
    )
    max_total_bytes: int = Field(
        4 * 1024**3, ge=1024 * 1024, description="of a tightly packed Parquet file, in all"
    )
    max_columns: int = Field(2000, ge=50, description="of a table of text or a Parquet file")
    max_row_bytes: int = Field(
        1024 * 1024, ge=1024, description="of a table of text; a longer row has an open quote"
    )
    max_dump_row_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="of a dump; a longer row has an open quote"
    )
    max_statement_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="of a dump's statement that is passed over"
    )

    max_avro_block_bytes: int = Field(
        32 * 1024 * 1024, ge=64 * 1024, description="of an Avro file's block, decompressed"
    )

    @property
    def text_limits(self) -> TextLimits:
        """The limits of tables of text and of dumps."""
        return TextLimits(
            self.max_row_bytes,
            self.max_dump_row_bytes,
            self.max_statement_bytes,
            self.max_columns,
        )

    @property
    def parquet_limits(self) -> ParquetLimits:
        """The limits of Parquet files."""
        return ParquetLimits(self.max_decoded_bytes, self.max_total_bytes, self.max_columns)

    @classmethod
    def load(cls) -> FilesSettings:
        """Read these settings alone. Raises ``InvalidSetting`` naming what is wrong."""
        return _Files(**loaded(_Files)).files


class _Files(BaseModel):
    files: FilesSettings
