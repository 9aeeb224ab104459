"""Making many model calls: deduplicate, look up, dispatch, retry, record, report progress."""

from whygen.runs.agenda import Agenda as Agenda
from whygen.runs.agenda import End as End
from whygen.runs.clock import Clock as Clock
from whygen.runs.clock import MonotonicClock as MonotonicClock
from whygen.runs.dispatch import Dispatcher as Dispatcher
from whygen.runs.dispatch import LocalDispatcher as LocalDispatcher
from whygen.runs.ending import EndedError as EndedError
from whygen.runs.files import default_store_path as default_store_path
from whygen.runs.keys import call_key as call_key
from whygen.runs.keys import identity_of as identity_of
from whygen.runs.progress import Progress as Progress
from whygen.runs.progress import RichProgress as RichProgress
from whygen.runs.progress import Silent as Silent
from whygen.runs.rates import Rates as Rates
from whygen.runs.remote import RemoteDispatcher as RemoteDispatcher
from whygen.runs.retry import RetryPolicy as RetryPolicy
from whygen.runs.rows import Call as Call
from whygen.runs.runner import Runner as Runner
from whygen.runs.runner import Tally as Tally
from whygen.runs.spending import Budget as Budget
from whygen.runs.spending import Spent as Spent
from whygen.runs.store import DEFAULT_STORE as DEFAULT_STORE
from whygen.runs.store import Notice as Notice
from whygen.runs.store import Store as Store
from whygen.runs.store import open_store as open_store
