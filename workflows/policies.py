"""Time limits and retries of steps, with their reasons."""

from datetime import timedelta

from temporalio.common import RetryPolicy

# PostgreSQL gives up after 2 s on a lock and 5 s on a statement; both limits leave it the time to report that.
LOCAL_ATTEMPT = timedelta(seconds=7)
REGULAR_ATTEMPT = timedelta(seconds=10)

# One local attempt: without an answer the step goes on as a regular activity that people can see.
ONCE = RetryPolicy(maximum_attempts=1)

# A step in doubt may have happened or not: it is retried until it has an answer, without a limit on attempts.
UNTIL_ANSWERED = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=5),
)

# A message is retried for a week. It never changes what happens to the money.
NOTIFICATION_BUDGET = timedelta(days=7)
NOTIFICATION_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=10)
)

# A worker that dies in the middle of a local step is noticed after this time, and the task runs elsewhere.
TASK_TIMEOUT = timedelta(seconds=3)

# If the worker that has a workflow in its cache dies, another worker takes over after this time.
STICKY_TIMEOUT = timedelta(seconds=1)

# How long a stopping worker may still run its present steps: a regular attempt and its answer.
GRACEFUL_SHUTDOWN = timedelta(seconds=12)

# A money step in doubt for so long, or up to twice as long, needs a person's attention, unless the worker's settings
# say otherwise.
STUCK_AFTER = timedelta(seconds=60)

# A transfer in review reads its decisions again after this time: a nudge that was lost delays one by minutes. A long
# review reads more rarely, so its history stays short.
REVIEW_READ_INTERVAL = timedelta(minutes=10)
MOST_REVIEW_READS = 100

# A screening step that ends without a verdict and cannot be retried by Temporal is begun again after such pauses.
SCREENING_FIRST_PAUSE = timedelta(seconds=5)
SCREENING_LONGEST_PAUSE = timedelta(minutes=10)

# An open dispute reads its row at this interval without a signal. The history stays short even after weeks.
DISPUTE_ROUTINE_READ = timedelta(hours=3)

# A request for a higher tier reads its row at this interval without a signal.
TIER_ROUTINE_READ = timedelta(hours=3)

# The document of a tier request is asked about for so long. Then staff decide alone.
TIER_VERIFIER_BUDGET = timedelta(hours=1)

# A decided dispute checks its reversal after pauses that grow from the first to the longest, or once its driver ends.
DISPUTE_FIRST_PAUSE = timedelta(seconds=5)
DISPUTE_LONGEST_PAUSE = timedelta(minutes=10)

# One sweep over the transfers that are not final. The next sweep finds what this one does not reach.
SWEEP_ATTEMPT = timedelta(seconds=60)
SWEEP_BUDGET = timedelta(minutes=3)

# The steps of a sweep report each look-up. One that reports nothing for so long hangs, and is tried again.
SWEEP_HEARTBEAT = timedelta(seconds=15)

# One of the transfers that a sweep found. It holds up others of the same sweep, and the next sweep finds it again.
SWEEP_ITEM_BUDGET = timedelta(seconds=30)

# After this time a sweep begins with no further transfer. Together with its steps that is less than the run may take.
SWEEP_ITEMS_BUDGET = timedelta(minutes=3)

# No next sweep starts while one runs. One that does not end by itself, whatever holds it, is ended by Temporal.
SWEEP_RUN = timedelta(minutes=10)

# One inquiry at a verifier, whose own time limit is shorter, and the pauses between inquiries: one that is down for
# days is asked once a minute. Staff may decide meanwhile.
VERIFIER_ATTEMPT = timedelta(seconds=20)
VERIFIER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
)

# A document that waits for staff is read again after this time: a nudge may be lost.
DOCUMENT_ROUTINE_READ = timedelta(hours=3)

# One step of a rebuild: some seconds of short accounts, or a long one, whose statements PostgreSQL limits.
REBUILD_ATTEMPT = timedelta(minutes=5)

# A rebuild continues as new after so many steps: its history has some thousand events then.
REBUILD_STEPS = 500

# One step of a statement adds up the next lines in one statement of SQL; one of a sweep makes some hundred statements.
STATEMENT_ATTEMPT = timedelta(seconds=30)

# A sweep that does not end is replaced after this time. The first one of a month makes millions of statements, perhaps.
STATEMENT_SWEEP_RUN = timedelta(hours=12)

# The sweep continues as new after so many steps, and so does the workflow of one statement.
STATEMENT_STEPS = 500

# One step of a webhook endpoint sends for a minute, and its last requests end soon behind that. A worker that dies
# meanwhile is noticed by its silence.
DELIVERY_ATTEMPT = timedelta(minutes=2)
DELIVERY_HEARTBEAT = timedelta(seconds=6)

# Deliveries have a queue of their own, so that slow endpoints take no slot from other steps.
DELIVERY_QUEUE_SUFFIX = "-webhooks"

# A webhook endpoint continues as new after so many steps: its history has some thousand events then.
DELIVERY_STEPS = 250

# One step of a batch posts chunks for about a second; a whole atomic batch takes some more. A worker that dies is
# noticed by its silence.
BATCH_ATTEMPT = timedelta(seconds=60)
BATCH_HEARTBEAT = timedelta(seconds=6)

# How long a batch waits for the rows of transfers that it has started.
BATCH_SINGLES_PAUSE = timedelta(seconds=1)

# A held batch reads its row at this interval without a signal.
BATCH_ROUTINE_READ = timedelta(hours=1)

# A batch continues as new after so many steps: it takes that many only while its singles are slow, or it is held.
BATCH_STEPS = 200
