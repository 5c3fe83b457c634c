"""docs/configuration.md is what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sink.settings import Settings, load, reference_page
from sink.settings.catalogue import entries, variable

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "sink config --markdown > docs/configuration.md"


def test_every_setting_is_explained() -> None:
    page = reference_page()
    for entry in entries(Settings):
        assert entry.description, entry.path
        assert f"`{variable(entry.path)}" in page


def test_the_example_file_of_the_page_holds_settings_that_exist(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", reference_page(), re.DOTALL)
    secret = tomllib.loads(example)["kafka"]["sasl_password_file"]
    (tmp_path / "secret").write_text("s")
    (tmp_path / "sink.toml").write_text(example.replace(secret, "secret"))
    settings = load({}, directory=tmp_path)
    assert (settings.batch.max_rows, settings.clock_of("oi_snapshots")) == (20_000, "field")
    assert settings.kafka["sasl.password"] == "s"
