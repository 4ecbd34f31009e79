"""What a run of FFmpeg is known by."""

from dataclasses import replace

from domain.ffmpeg.command import Command, Measure, Original, Shipped, _digest

ORIGINAL = Original(asset_id="a", sha256="1" * 64)
COMMAND = Command(argv=("-i", "in/x", "out"), result="out", tool="9.0", inputs={"in/x": ORIGINAL}, files={"t": "words"})


def test_a_key_hangs_on_everything_that_shapes_the_result_and_on_nothing_else() -> None:
    others = [
        replace(COMMAND, argv=("-i", "in/x", "other")),
        replace(COMMAND, result="other"),
        replace(COMMAND, tool="9.1"),
        replace(COMMAND, inputs={"in/y": ORIGINAL}),
        replace(COMMAND, inputs={"in/x": Original(asset_id="a", sha256="2" * 64)}),
        replace(COMMAND, inputs={"in/x": Shipped(name="font", sha256="3" * 64)}),
        replace(COMMAND, inputs={"in/x": COMMAND}),
        replace(COMMAND, files={"t": "other words"}),
        replace(COMMAND, files={"u": "words"}),
        replace(COMMAND, measure=Measure(input="in/x", target=-16)),
        replace(COMMAND, measure=Measure(input="in/x", target=-23)),
    ]
    keys = {COMMAND.key, *(other.key for other in others)}
    assert len(keys) == 1 + len(others)
    same = replace(COMMAND, inputs={"in/x": Original(asset_id="b", sha256="1" * 64)}, frames=7, seconds=1.0)
    assert same.key == COMMAND.key


def test_a_tree_lists_what_is_needed_before_what_needs_it_and_each_key_once() -> None:
    block = replace(COMMAND, result="block")
    mix = replace(COMMAND, result="mix", inputs={"1": block, "2": replace(block), "3": ORIGINAL})
    assert [each.result for each in mix.tree()] == ["block", "mix"]


def test_a_large_text_in_a_thousand_spans_is_hashed_once() -> None:
    table = "0.5 0.5 0.5\n" * 1000
    _digest.cache_clear()
    keys = {replace(COMMAND, argv=(str(number),), files={"table.cube": table}).key for number in range(1000)}
    assert (len(keys), _digest.cache_info().misses) == (1000, 1)
