# The one image of every Remit process: `api` (the default), `worker`, `migrate` and the operators' commands.

FROM node:22-bookworm-slim AS pages

WORKDIR /build
COPY docs/openapi.json docs/openapi.json
COPY web web
# Every package is checked against the hash in the lock file, and none of them runs a script.
RUN cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run client && npm run build


FROM python:3.13-slim-bookworm AS build

# A virtual environment without pip: it is filled from outside, so that nothing in the final image can install.
RUN python -m venv --without-pip /opt/remit
COPY requirements.txt /tmp/requirements.txt
# Every file is checked against its hash; wheels only, so that no compiler is needed.
RUN pip --python /opt/remit/bin/python install \
        --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement /tmp/requirements.txt

WORKDIR /app
COPY *.py ./
COPY activities activities
COPY api api
COPY batches batches
COPY brokers brokers
COPY bulk_transfers bulk_transfers
COPY cli cli
COPY customers customers
COPY database database
COPY devenv devenv
COPY disputes disputes
COPY events events
COPY ledger ledger
COPY migrations migrations
COPY notifications notifications
COPY onboarding onboarding
COPY projections projections
COPY reviews reviews
COPY screening screening
COPY setting_groups setting_groups
COPY staff staff
COPY statements statements
COPY standing_orders standing_orders
COPY tiers tiers
COPY trail trail
COPY webhooks webhooks
COPY workflows workflows
COPY deploy/healthcheck.py deploy/healthcheck.py
COPY --chmod=755 deploy/remit /opt/remit/bin/remit
COPY --from=pages /build/web/dist web/dist
# The root filesystem is read-only at run time; bytecode that is trusted without a look at its source starts faster.
RUN /opt/remit/bin/python -m compileall -q --invalidation-mode unchecked-hash /app


FROM python:3.13-slim-bookworm

# pip came with the base image. A fixed uid, so that operators can give files and volumes to it.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip \
    && groupadd --gid 10001 remit \
    && useradd --uid 10001 --gid remit --no-create-home --home-dir /app --shell /usr/sbin/nologin remit

COPY --from=build /opt/remit /opt/remit
COPY --from=build /app /app

ENV PATH=/opt/remit/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    REMIT_API_HOST=0.0.0.0 \
    REMIT_API_PORT=8000 \
    REMIT_LOG_FORMAT=json

WORKDIR /app
USER 10001:10001
EXPOSE 8000

# For the API. A worker has a check of its own: `python deploy/healthcheck.py worker`.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/healthcheck.py", "api"]

ENTRYPOINT ["remit"]
CMD ["api"]
