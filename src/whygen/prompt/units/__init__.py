"""A prompt cut into the pieces a person would name; joined again they give the prompt back, byte for byte."""

from whygen.prompt.units.chats import CHAT_KINDS as CHAT_KINDS
from whygen.prompt.units.chats import ChatUnits as ChatUnits
from whygen.prompt.units.chats import shown as shown
from whygen.prompt.units.checks import check_source as check_source
from whygen.prompt.units.cutting import Input as Input
from whygen.prompt.units.cutting import Kind as Kind
from whygen.prompt.units.cutting import UnitsOver as UnitsOver
from whygen.prompt.units.cutting import split as split
from whygen.prompt.units.cutting import split_over as split_over
from whygen.prompt.units.pieces import Piece as Piece
from whygen.prompt.units.pieces import Sent as Sent
from whygen.prompt.units.pieces import Units as Units
from whygen.prompt.units.templates import TEMPLATE_KINDS as TEMPLATE_KINDS
from whygen.prompt.units.templates import TemplateUnits as TemplateUnits
from whygen.prompt.units.templates import open_fields as open_fields
from whygen.prompt.units.templates import split_template as split_template
from whygen.prompt.units.texts import SPLITTERS as SPLITTERS
from whygen.prompt.units.texts import TOKEN as TOKEN
from whygen.prompt.units.texts import Splitter as Splitter
from whygen.prompt.units.texts import lines as lines
from whygen.prompt.units.texts import paragraphs as paragraphs
from whygen.prompt.units.texts import sentences as sentences
from whygen.prompt.units.texts import whitespace as whitespace
from whygen.prompt.units.texts import words as words
from whygen.texts import Span as Span
