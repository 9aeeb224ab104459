"""The storyteller: a small language model that writes the story it is asked for, and prompts whose causes are known.

``words`` holds what a story can tell, ``stories`` writes and reads stories, ``instructions`` asks for them in many
ways, ``labelled`` marks the words that matter. The trained model lies in ``model/``, with its card.
"""

from whygen.demo.storyteller.labelled import LabelledPrompt as LabelledPrompt
from whygen.demo.storyteller.labelled import labelled_prompts as labelled_prompts
from whygen.demo.storyteller.stories import read_slots as read_slots
from whygen.demo.storyteller.stories import tells_unnamed as tells_unnamed
from whygen.demo.storyteller.stories import told_slots as told_slots
from whygen.demo.storyteller.stories import write_story as write_story
from whygen.demo.storyteller.words import SLOTS as SLOTS
from whygen.demo.storyteller.words import Slot as Slot

__all__ = [
    "SLOTS",
    "LabelledPrompt",
    "Slot",
    "labelled_prompts",
    "read_slots",
    "tells_unnamed",
    "told_slots",
    "write_story",
]
