"""What whygen may rely on, as checks that the author of a plug-in runs over it.

    from whygen.testing import check_model
    check_model("shout/loud")

Each check is a plain function that raises an `AssertionError` with a sentence: what is wrong, and what is asked. It
needs no test runner and nothing but whygen's own dependencies; chance comes from a seed. whygen's own models, targets,
operators, criteria and encoders pass the same checks (``tests/contract``). Each takes what its door takes: a name,
``py/package.module:callable``, or the thing itself.
"""

from whygen.testing.models import check_latent as check_latent
from whygen.testing.models import check_model as check_model
from whygen.testing.prompts import check_operator as check_operator
from whygen.testing.prompts import check_target as check_target
from whygen.testing.vectors import check_criterion as check_criterion
from whygen.testing.vectors import check_encoder as check_encoder
