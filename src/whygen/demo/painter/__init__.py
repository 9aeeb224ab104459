"""The painter: a small editor of pictures that follows instructions, and instructions whose causes are known.

``scenes`` draws what it edits, ``instructions`` asks for changes in many ways and says what they mean, ``checks`` looks
whether a change was made, ``labelled`` marks the words that matter. The trained pipeline lies in ``model/``, with its
card.
"""

from whygen.demo.painter.checks import followed as followed
from whygen.demo.painter.instructions import Edits as Edits
from whygen.demo.painter.instructions import interpret as interpret
from whygen.demo.painter.instructions import write_instruction as write_instruction
from whygen.demo.painter.labelled import LabelledEdit as LabelledEdit
from whygen.demo.painter.labelled import labelled_edits as labelled_edits
from whygen.demo.painter.scenes import Scene as Scene
from whygen.demo.painter.scenes import draw_scene as draw_scene
from whygen.demo.painter.scenes import render as render
