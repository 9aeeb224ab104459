"""What is measured of an output: a distance to the reference, a log-probability, agreement, or any score.

`load_target` is the one door. Nothing is rescaled over a run, so attributions can be compared between prompts, runs
and models (METHODS A1, A5).
"""

from whygen.prompt.targets.called import OutputScore as OutputScore
from whygen.prompt.targets.called import TextScore as TextScore
from whygen.prompt.targets.compared import ContrastiveDistance as ContrastiveDistance
from whygen.prompt.targets.compared import PlainTexts as PlainTexts
from whygen.prompt.targets.compared import SentenceVectors as SentenceVectors
from whygen.prompt.targets.compared import TokenSets as TokenSets
from whygen.prompt.targets.media import TIMED_TARGETS as TIMED_TARGETS
from whygen.prompt.targets.media import TemporalConsistency as TemporalConsistency
from whygen.prompt.targets.media import Timed as Timed
from whygen.prompt.targets.media import load_timed_target as load_timed_target
from whygen.prompt.targets.media import temporal_change as temporal_change
from whygen.prompt.targets.protocol import Compares as Compares
from whygen.prompt.targets.protocol import Continues as Continues
from whygen.prompt.targets.protocol import Counts as Counts
from whygen.prompt.targets.protocol import HearsRefusals as HearsRefusals
from whygen.prompt.targets.protocol import ReadsReference as ReadsReference
from whygen.prompt.targets.protocol import Target as Target
from whygen.prompt.targets.protocol import Verb as Verb
from whygen.prompt.targets.registry import OWN as OWN
from whygen.prompt.targets.registry import TARGETS as TARGETS
from whygen.prompt.targets.registry import TargetLike as TargetLike
from whygen.prompt.targets.registry import brought_target as brought_target
from whygen.prompt.targets.registry import known_targets as known_targets
from whygen.prompt.targets.registry import load_target as load_target
from whygen.prompt.targets.scored import Contains as Contains
from whygen.prompt.targets.scored import ContrastiveLogProbability as ContrastiveLogProbability
from whygen.prompt.targets.scored import LogProbability as LogProbability
from whygen.prompt.targets.scored import Span as Span
from whygen.prompt.targets.scored import SpanLogProbability as SpanLogProbability
from whygen.prompt.targets.scored import find_span as find_span
from whygen.prompt.targets.scored import join_scores as join_scores
from whygen.prompt.targets.structured import AnswerAgreement as AnswerAgreement
from whygen.prompt.targets.structured import JsonField as JsonField
from whygen.prompt.targets.structured import Refusal as Refusal
