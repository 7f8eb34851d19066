"""How much longer a job takes, as earlier ones tell."""

from __future__ import annotations

import json

from backend.expected_time import ExpectedTime, describe_time_left, kind_of_job


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def run(file, kind: str, stages: dict[str, float]) -> None:
    clock = Clock()
    job = ExpectedTime(file, kind, clock)
    for stage, seconds in stages.items():
        job.enter(stage)
        job.enter(stage)  # several events of one stage
        clock.time += seconds
    job.remember()


def test_the_first_job_of_a_kind_promises_nothing_and_the_second_counts_down(tmp_path):
    file, clock = tmp_path / "times.json", Clock()
    first = ExpectedTime(file, "a", clock)
    waiting = ExpectedTime(file, "a", clock)
    first.enter("views")
    assert first.seconds_left() is None
    run(file, "a", {"start": 4, "load": 2, "views": 10, "mesh": 3})
    assert ExpectedTime(file, "a", clock).seconds_left() is None, "nothing has begun"

    waiting.enter("views")
    assert waiting.seconds_left() == 13, "it did not learn from the one that it waited for"
    job = ExpectedTime(file, "a", clock)
    job.enter("load")  # the process was there already
    assert job.seconds_left() == 15
    clock.time += 1
    job.enter("views")
    assert job.seconds_left() == 13
    clock.time += 6
    assert job.seconds_left() == 7
    clock.time += 6
    assert job.seconds_left() == 3, "what comes later still takes its time"
    clock.time += 6
    assert job.seconds_left() is None, "it takes much longer than the earlier one did"
    job.enter("mesh")
    assert job.seconds_left() == 3

    other = ExpectedTime(file, "b", clock)
    other.enter("views")
    assert other.seconds_left() is None


def test_jobs_are_averaged_and_what_one_skips_stays(tmp_path):
    file = tmp_path / "times.json"
    run(file, "a", {"load": 2, "views": 10})
    run(file, "a", {"start": 4, "load": 0, "views": 20})
    run(file, "a", {"load": 1, "views": 15})
    assert json.loads(file.read_text()) == {"a": {"start": 4, "load": 1, "views": 15}}
    assert list(json.loads(file.read_text())["a"]) == ["start", "load", "views"]


def test_a_damaged_file_is_as_none_and_it_does_not_grow_for_ever(tmp_path):
    file = tmp_path / "times.json"
    for damage in ("", "[]", '{"a": 3}', '{"a": {"views": "long"}}', '{"a": {"views": NaN}}'):
        file.write_text(damage)
        job = ExpectedTime(file, "a")
        job.enter("views")
        assert job.seconds_left() is None
    for number in range(60):
        run(file, str(number), {"views": 1})
    assert list(json.loads(file.read_text())) == [str(number) for number in range(10, 60)]
    run(tmp_path / "nowhere" / "times.json", "a", {"views": 1})


def test_the_time_left_is_said_roughly():
    said = [describe_time_left(seconds) for seconds in (0, 8.4, 12, 88, 100, 1000)]
    numbers = "1 s", "8 s", "10 s", "90 s", "2 min", "17 min"
    assert said == [f"about {number} left" for number in numbers]


def test_kinds_differ_by_what_decides_the_time():
    kind = kind_of_job("image", {"weights": "/home/me/zero123", "quality": "fast", "device": "cpu", "seed": 3})
    assert kind == "image, zero123, cpu, fast"
    assert kind_of_job("image", {"reference_mode": True}) == "image, , auto, reference"
