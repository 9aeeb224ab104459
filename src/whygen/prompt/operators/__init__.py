"""How a mask becomes a prompt: what stands where a unit was taken away (METHODS A4).

``base`` holds what every operator is, and the plain ones; ``synonyms``, ``infill``, ``paraphrase`` and ``noise`` make
the others, one file each; ``loading`` finds an operator by name.
"""

from whygen.prompt.operators.base import Delete as Delete
from whygen.prompt.operators.base import EmbeddingNoise as EmbeddingNoise
from whygen.prompt.operators.base import Operator as Operator
from whygen.prompt.operators.base import Placeholder as Placeholder
from whygen.prompt.operators.base import Rewrite as Rewrite
from whygen.prompt.operators.base import Substitute as Substitute
from whygen.prompt.operators.base import Tools as Tools
from whygen.prompt.operators.helped import Neutral as Neutral
from whygen.prompt.operators.helped import Paraphrase as Paraphrase
from whygen.prompt.operators.registry import OPERATORS as OPERATORS
from whygen.prompt.operators.registry import OperatorLike as OperatorLike
from whygen.prompt.operators.registry import OperatorOptions as OperatorOptions
from whygen.prompt.operators.registry import known_operators as known_operators
from whygen.prompt.operators.registry import load_operator as load_operator
from whygen.prompt.operators.synonyms import Synonym as Synonym
