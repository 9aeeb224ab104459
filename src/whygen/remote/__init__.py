"""What speaking to a server takes, whatever is asked of it: address and key, its JSON, and what its errors mean.

Models and encoders stand on this; nothing here imports a client library.
"""

from whygen.remote.failures import from_status as from_status
from whygen.remote.failures import timed_out as timed_out
from whygen.remote.failures import unexpected as unexpected
from whygen.remote.failures import unreachable as unreachable
from whygen.remote.reading import Malformed as Malformed
from whygen.remote.reading import Unacceptable as Unacceptable
from whygen.remote.reading import count as count
from whygen.remote.reading import dig as dig
from whygen.remote.reading import document as document
from whygen.remote.reading import ended_by as ended_by
from whygen.remote.reading import refuse_error as refuse_error
from whygen.remote.reading import told_name as told_name
from whygen.remote.reading import usage as usage
from whygen.remote.service import Answer as Answer
from whygen.remote.service import Service as Service
from whygen.remote.service import answer_each as answer_each
from whygen.remote.service import find_service as find_service
from whygen.remote.service import is_service as is_service
from whygen.remote.service import told as told
from whygen.remote.service import trusted as trusted
from whygen.remote.service import with_extra as with_extra
