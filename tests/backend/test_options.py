"""Options: defaults, ranges, the command line's flags and their way through JSON."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import fields

import pytest

from backend.config import ElevationMethod, ReconstructionConfig, Scheduler, TextureSource, resolve_options
from backend.errors import UserError
from backend.options import QUALITY_PRESETS, Options, QualityPreset, add_flags, from_flags
from tests.helpers.paths import ROOT


def _parsed(*flags: str) -> Options:
    parser = ArgumentParser()
    add_flags(parser)
    return from_flags(parser.parse_args(flags))


def test_options_have_defaults():
    options = Options.from_dict({})
    assert (options.weights, options.faces, options.texture_size, options.elevation) == ("starter", 20_000, 1024, None)


def test_options_survive_json():
    options = Options(elevation=-12.5, faces=500, quality="high")
    assert Options.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_whole_floats_are_whole_numbers():
    """JSON from other programs may say 20000.0."""
    assert Options.from_dict({"faces": 500.0}).faces == 500 and isinstance(Options(faces=500.0).faces, int)


@pytest.mark.parametrize(
    "values",
    [
        {"unknown": 1},
        {"faces": 499},
        {"faces": 200_001},
        {"faces": "many"},
        {"faces": 1000.5},
        {"faces": True},
        {"faces": None},
        {"faces": 10**400},
        {"elevation": float("nan")},
        {"elevation": -31},
        {"elevation": 76},
        {"texture_size": 0},
        {"seed": -1},
        {"device": "tpu"},
        {"quality": ""},
        {"weights": "  "},
        {"reference_mode": 1},
        {"preset": "fast"},
        {"faithful": True},
    ],
)
def test_bad_values_are_refused_in_one_sentence(values):
    with pytest.raises(UserError) as caught:
        Options.from_dict(values)
    assert caught.value.code == "bad_option"
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_limits_themselves_are_allowed():
    for option in fields(Options):
        for value in (option.metadata["minimum"], option.metadata["maximum"], *option.metadata["choices"]):
            if value is not None:
                assert getattr(Options.from_dict({option.name: value}), option.name) == value


def test_flags_make_the_same_options():
    assert _parsed() == Options()
    assert _parsed("--elevation", "-10", "--texture-size", "512", "--device", "cpu") == Options(
        elevation=-10, texture_size=512, device="cpu"
    )
    with pytest.raises(UserError):
        _parsed("--faces", "3")


def _preset(config: ReconstructionConfig) -> tuple:
    names = (field.name for field in fields(QualityPreset))
    return tuple(getattr(config, name) for name in names)


@pytest.mark.parametrize(
    ("quality", "device", "expected"),
    [("auto", "cpu", "fast"), ("auto", "cuda", "standard"), ("auto", "mps", "standard"), ("high", "cpu", "high")],
)
def test_auto_quality_follows_the_device(quality, device, expected):
    config = resolve_options(Options(quality=quality), device)
    assert _preset(config) == tuple(vars(QUALITY_PRESETS[expected]).values()) and config.device == device


def test_reference_mode_is_a_bare_flag_and_replaces_the_quality():
    assert not _parsed().reference_mode and _parsed("--reference-mode").reference_mode
    config = resolve_options(_parsed("--reference-mode", "--quality", "fast", "--seed", "7"), "cpu")
    assert _preset(config) == (75, 3.0, 1, 40, 255) and config.seed == 7


def test_reference_mode_decides_everything_that_the_reference_does_differently():
    ours, reference = (resolve_options(Options(reference_mode=mode), "cuda") for mode in (False, True))
    names = ("scheduler", "elevation_method", "texture_source")
    assert [getattr(ours, name) for name in names] == [
        Scheduler.DPM_SOLVER,
        ElevationMethod.PREDICTED,
        TextureSource.VIEWS,
    ]
    assert [getattr(reference, name) for name in names] == [
        Scheduler.DDIM,
        ElevationMethod.REFERENCE,
        TextureSource.FIELD,
    ]
    assert reference.quantize_views and reference.reference_grid and reference.limit_input_size
    assert not (ours.quantize_views or ours.reference_grid or ours.limit_input_size)
    assert ours.silhouette_constraint and not reference.silhouette_constraint


def test_help_shows_the_meaning_range_and_default_of_every_option(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    parser = ArgumentParser()
    add_flags(parser)
    entries = {entry.split()[0]: entry for entry in parser.format_help().split("\n  --")[1:]}
    assert len(entries) == len(fields(Options))
    for option in fields(Options):
        entry = entries[option.name.replace("_", "-")]
        assert option.metadata["help"] in entry
        assert option.metadata["minimum"] is None or f"{option.metadata['minimum']} to " in entry
        assert option.default in (None, False) or f"(default: {option.default})" in entry
        assert all(choice in entry for choice in option.metadata["choices"])


def test_options_are_documented():
    rows = [line for line in (ROOT / "docs" / "options.md").read_text(encoding="utf-8").splitlines() if "`--" in line]
    documented = {row.split(" | ")[2].strip("`"): row for row in rows}
    for option in fields(Options):
        about, row = option.metadata, documented.pop(option.name)
        default = {"None": "not set", "False": "off"}.get(str(option.default), option.default)
        assert row.startswith(f"| {about['label']} | `--{option.name.replace('_', '-')}` |") and f"| {default} |" in row
        assert about["minimum"] is None or f"| {about['minimum']:.0f} to {about['maximum']:.0f} |" in row
        assert not about["choices"] or ", ".join(about["choices"]) in row
    assert not documented
