"""How much of the package one explanation of anchors walks through: a newcomer reads these files, and no more."""

from benchmarks.anchor_scores import walked

FILES, OF_THE_WING = 59, 33
"""What it is today; docs/decisions/0024-scores.md, 0034-generators.md and 0047-ray-and-streaming.md say why it is not
fewer."""


def test_an_explanation_walks_through_no_more_files_than_it_did() -> None:
    walk = walked()
    assert walk["files"] <= FILES
    assert walk["of the wing"] <= OF_THE_WING
