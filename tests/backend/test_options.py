"""Options: defaults, ranges, the command line's flags and their way through JSON."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import fields

import pytest

from backend.errors import UserError
from backend.options import FAITHFUL, PRESETS, Options, add_flags, from_flags


def _parsed(*flags: str) -> Options:
    parser = ArgumentParser()
    add_flags(parser)
    return from_flags(parser.parse_args(flags))


def test_defaults():
    options = Options.from_dict({})
    assert (options.weights, options.faces, options.texture_size, options.elevation) == ("starter", 20_000, 1024, None)


def test_survives_json():
    options = Options(elevation=-12.5, faces=500, preset="high")
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
        {"preset": ""},
        {"weights": "  "},
        {"faithful": 1},
    ],
)
def test_refused_in_one_sentence(values):
    with pytest.raises(UserError) as caught:
        Options.from_dict(values)
    assert caught.value.code == "bad_option"
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_limits_themselves_are_allowed():
    for each in fields(Options):
        for value in (each.metadata["minimum"], each.metadata["maximum"], *each.metadata["choices"]):
            if value is not None:
                assert getattr(Options.from_dict({each.name: value}), each.name) == value


def test_flags_make_the_same_options():
    assert _parsed() == Options()
    assert _parsed("--elevation", "-10", "--texture-size", "512", "--device", "cpu") == Options(
        elevation=-10, texture_size=512, device="cpu"
    )
    with pytest.raises(UserError):
        _parsed("--faces", "3")


def test_auto_quality_follows_the_device():
    assert Options().quality("cpu") == PRESETS["fast"]
    assert Options().quality("cuda") == PRESETS["standard"]
    assert Options(preset="high").quality("cpu") == PRESETS["high"]


def test_faithful_is_a_bare_flag_and_takes_the_place_of_the_quality():
    assert not _parsed().faithful and _parsed("--faithful").faithful
    assert _parsed("--faithful", "--preset", "fast").quality("cpu") == FAITHFUL
    assert FAITHFUL.faithful and not any(each.faithful for each in PRESETS.values())


def test_every_option_explains_itself():
    for each in fields(Options):
        assert each.metadata["label"] and each.metadata["help"] and each.metadata["kind"] in (str, int, float, bool)
